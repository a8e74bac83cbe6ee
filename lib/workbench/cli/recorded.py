"""Commands that work on what is kept with the book: `record`."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.core.project import find_project


def record(
    result: Annotated[
        str,
        typer.Argument(metavar="RUN|SWEEP", help="A completed run or sweep, the start of its name, or `latest` (run)."),
    ],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What it is called in the book, such as `attention-wide`.")
    ],
    public: Annotated[
        list[str] | None,
        typer.Option(
            "--public", metavar="NAME=ID", help="What others get a local file by, for each parameter that was one."
        ),
    ] = None,
    predictions: Annotated[
        bool,
        typer.Option(
            "--predictions",
            help="Keep also what the models answered to each example: no texts, log-probabilities as float16.",
        ),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what is recorded under this name.")] = False,
) -> None:
    """Keep a run or a sweep with the book, in book/recorded/NAME/, with the command that computes it again.

    A page shows it with the directive `{recorded} NAME`. With `--predictions`, a chapter that has a parameter of the
    type `Predictions` can be given NAME.

    **Examples**

    ```
    workbench record latest attention-wide
    workbench record d_k-seed attention-widths
    workbench record seed-1a2b3c4d fine-tuning-seeds --predictions
    workbench record 20261123T1845 attention-reviews --public corpus="the reviews of Hu and Liu, 2004"
    ```
    """
    from workbench.parameters.request import named_once
    from workbench.recorded.run import record_run
    from workbench.recorded.sweep import find_sweep, record_sweep
    from workbench.runs.store import find_run

    project = find_project()
    names = named_once("--public", public or [], "a public name is given as parameter=name")
    if sweep := find_sweep(project, result):
        kept = record_sweep(project, sweep, name, names, predictions=predictions, replace=replace)
    else:
        run = find_run(project, result)
        kept = record_run(project, run, name, names, predictions=predictions, replace=replace)
    print(f"{kept.relative_to(project.root)} keeps it; a page shows it with the directive {{recorded}} {name}")
    if predictions:
        size = project.recorded_predictions()[name].stat().st_size
        print(f"its predictions ({size / 1e6:.2g} MB) are kept too; a parameter of the type Predictions takes {name}")
