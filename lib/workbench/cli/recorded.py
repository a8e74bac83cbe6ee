"""Commands that work on what is kept with the book: `record`, `recorded` and `confirm`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.shared import Json, Workers, print_json, result_names, run_names
from workbench.cli.sweeps import build_shipped_data, refuse_failed, run_missing
from workbench.core.errors import RequestError, RunError
from workbench.core.project import Project, find_project
from workbench.core.text import roughly
from workbench.parameters.contract import load_contract
from workbench.runs.store import find_run

if TYPE_CHECKING:
    from workbench.recorded.result import Recorded

LocalFiles = Annotated[
    list[str] | None,
    typer.Option("-p", "--parameter", metavar="NAME=PATH", help="Where a local file of the result is."),
]


def record(
    result: Annotated[
        str,
        typer.Argument(
            metavar="RUN|SWEEP",
            help="A completed run or sweep, by the start of its name; or `latest`.",
            autocompletion=run_names,
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name in the book, such as `attention-wide`.")],
    public: Annotated[
        list[str] | None, typer.Option(metavar="NAME=ID", help="What others get a local file by, for each parameter.")
    ] = None,
    predictions: Annotated[
        bool,
        typer.Option("--predictions", help="Keep the models' answers too, log-probabilities as float16, no texts."),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what is recorded under this name.")] = False,
) -> None:
    """Keep a run or a sweep with the book, in book/recorded/NAME/, with the command that computes it again.

    A page shows it with the directive `{recorded} NAME`. With `--predictions`, a chapter that has a parameter of the
    type `Predictions` can be given NAME.

    **Examples**

        workbench record seed-1a2b3c4d fine-tuning-seeds --predictions
        workbench record latest attention-reviews --public corpus="the reviews of Hu and Liu, 2004"
    """
    from workbench.parameters.request import named_once
    from workbench.recorded.recording import record_result
    from workbench.sweeps.ended import find_sweep

    project = find_project()
    names = named_once("--public", public or [], "a public name is given as parameter=name")
    source = find_sweep(project, result) or find_run(project, result)
    kept = record_result(project, source, name, names, predictions=predictions, replace=replace)
    print(f"{kept.relative_to(project.root)} keeps it; a page shows it with the directive {{recorded}} {name}")
    if predictions:
        size = project.recorded_predictions()[name].stat().st_size
        print(f"its predictions ({size / 1e6:.2g} MB) are kept too; a parameter of the type Predictions takes {name}")


def confirm(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A recorded result.", autocompletion=result_names)],
    count: Annotated[int, typer.Option("--points", metavar="K", help="Compute at least this many.", min=1)] = 2,
    parameter: LocalFiles = None,
    as_json: Json = False,
) -> None:
    """Compute some points of a recorded result again at today's code, and compare every metric and claim.

    What has changed since decides by itself which points are computed. Times are not compared. The outcome is kept
    beside the record, and the pages that show the result say it; the result stays as it is, and stays stale. The same
    line again computes only what is missing. Exit codes: 0 all is the same, 1 something differs or a point failed,
    2 bad request, 130 interrupted.

    **Examples**

        workbench confirm attention-widths --points 3
        workbench confirm ag-news -p dataset=~/ag-news
    """
    from workbench.cli.tables import print_confirmation
    from workbench.core.machine import machine
    from workbench.parameters.request import named_once
    from workbench.recorded.confirm import agrees, compared, in_words, keep, to_confirm
    from workbench.recorded.result import read_recorded

    project = find_project()
    recorded = read_recorded(project, name)
    local = named_once("-p", parameter or [], "a local file is given as name=path")
    _build_shipped_data(project, recorded)
    sweep = to_confirm(project, recorded, local, count)
    threads = min(recorded.record["machine"].get("threads", 1), machine()["cores"])  # sums depend on how they are split
    run_missing(sweep, workers=max(1, machine()["cores"] // threads), threads=threads)
    refuse_failed(sweep)
    outcome = compared(project, recorded, sweep)
    keep(recorded, outcome)
    if as_json:
        print_json(outcome)
    else:
        print_confirmation(outcome)
        print(in_words(outcome))
    raise typer.Exit(0 if agrees(outcome) else 1)


def recorded(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…", help="Only these.", autocompletion=result_names)
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Compute the stale ones again, and record them.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --again: say what would be computed.")] = False,
    parameter: LocalFiles = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """List the recorded results and whether they are current, or compute the stale ones again.

    With `--again` the shortest comes first, and one that reads the predictions of another after that one. Each is
    recorded as soon as it is done, with the options that it had; the same line again does the rest, also after Ctrl-C.
    A result of local files is left out, and the line that computes it is printed. Exit codes with `--again`: 0 all that
    can be computed here is current, 1 something failed, 2 bad request, 130 interrupted.

    **Examples**

        workbench recorded --again --dry-run
        workbench recorded ag-news --again -p dataset=~/ag-news
    """
    from workbench.cli.tables import print_recorded
    from workbench.parameters.request import named_once
    from workbench.recorded.again import in_order
    from workbench.recorded.result import read_recorded

    project = find_project()
    local = named_once("-p", parameter or [], "a local file is given as name=path")
    chosen = {read_recorded(project, name).name for name in names or []}
    if local and len(chosen) != 1:
        raise RequestError("-p says where the files of one result are; name that result alone")
    if as_json and again and not dry_run:
        raise RequestError("--json lists results; --again alone computes them")
    if not again and (dry_run or local):
        raise RequestError("--dry-run and -p belong to --again")
    results = [each for each in in_order(project) if each.name in chosen or not chosen]
    if again and not dry_run:
        _compute_again(project, results, local, workers)
        return
    rows = [_facts(project, each) for each in results]
    rows = [row for row in rows if row["state"] == "stale"] if again else rows
    if as_json:
        print_json(rows)
        return
    print_recorded(rows)
    if again:
        here = [row["seconds"] for row in rows if not row["local_files"] or local]
        print(f"{len(here)} of {len(rows)} would be computed, about {roughly(sum(here))} of runs, one after the other")
        for row in rows:
            if row["local_files"] and not local:
                _print_line_for(row)


def _compute_again(project: Project, results: list[Recorded], local: dict[str, str], workers: int | None) -> None:
    """Compute what is stale, one result after the other, and record each as soon as it is done.

    Where some could not be recorded, a RunError at the end has a sentence for each.
    """
    from workbench.recorded.again import points_with_data, record_again
    from workbench.sweeps.sweep import Sweep

    failed: list[str] = []
    for each in results:
        facts = _facts(project, each)
        if facts["state"] == "misfit":
            failed += facts["reasons"]
        if facts["state"] != "stale":
            continue
        if facts["local_files"] and not local:
            _print_line_for(facts)
            continue
        print(f"{each.name}: {each.command}", file=sys.stderr)
        try:
            contract = load_contract(project, each.chapter)
            sweep = Sweep.of(project, contract, points_with_data(project, each, local))
            run_missing(sweep, workers=workers)
            refuse_failed(sweep)
            print(f"{record_again(project, each, sweep).relative_to(project.root)} is recorded again")
        except (RequestError, RunError) as error:
            failed += [f"{each.name}: {sentence}" for sentence in error.sentences]
    if failed:
        raise RunError(*failed)


def _facts(project: Project, recorded: Recorded) -> dict[str, Any]:
    """A result as `workbench recorded --json` prints it."""
    from workbench.recorded.result import changed_since, is_outdated, misfit

    if problem := misfit(project, recorded):
        state, reasons = "misfit", [problem]
    else:
        _build_shipped_data(project, recorded)
        reasons = changed_since(project, recorded)
        state = "stale" if reasons else "current"
    return {
        "name": recorded.name,
        "chapter": recorded.chapter,
        "state": state,
        "reasons": reasons,
        "points": recorded.points,
        "seconds": recorded.record["seconds"],
        "local_files": recorded.record["public"],
        "confirmed": recorded.confirmed,
        "confirmation_outdated": state == "stale" and is_outdated(project, recorded),
    }


def _build_shipped_data(project: Project, recorded: Recorded) -> None:
    from workbench.recorded.result import points_again

    given = points_again(project, recorded).points[0].given
    build_shipped_data(load_contract(project, recorded.chapter), given)


def _print_line_for(facts: dict[str, Any]) -> None:
    """The line that computes a result of local files again, which only the user can complete."""
    public = facts["local_files"]
    options = " ".join(f"-p {name}=PATH" for name in public)
    names = "; ".join(f"{name}: {public_name}" for name, public_name in public.items())
    print(f"workbench recorded {facts['name']} --again {options}    # {names}")
