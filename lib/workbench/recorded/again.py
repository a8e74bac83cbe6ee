"""Computing recorded results again: their order, their points with the local files, and recording them as they were."""

from __future__ import annotations

import graphlib
from pathlib import Path

from workbench.core.errors import RequestError
from workbench.core.project import PREDICTIONS, Project
from workbench.parameters.contract import load_contract
from workbench.parameters.types import Predictions, named_sources
from workbench.recorded.result import Recorded, all_recorded, points_again
from workbench.recorded.run import record_run
from workbench.recorded.sweep import record_sweep
from workbench.runs.store import find_run
from workbench.sweeps.grid import Points
from workbench.sweeps.summary import summaries, write_results
from workbench.sweeps.sweep import Sweep


def in_order(project: Project) -> list[Recorded]:
    """Every recorded result, behind those whose predictions it reads, and otherwise the shortest first.

    Raises:
        RequestError: for a record that cannot be read, or results that read each other's predictions.
    """
    results = {recorded.name: recorded for recorded in all_recorded(project)}
    sorter = graphlib.TopologicalSorter(
        {name: _reads(project, each) & results.keys() - {name} for name, each in results.items()}
    )
    order: list[str] = []
    waiting: set[str] = set()
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        raise RequestError(
            f"these recorded results read each other's predictions: {', '.join(error.args[1])}"
        ) from None
    while sorter.is_active():
        waiting |= set(sorter.get_ready())
        name = min(waiting, key=lambda name: (results[name].record["seconds"], results[name].record["started"]))
        waiting.remove(name)
        order.append(name)
        sorter.done(name)
    return [results[name] for name in order]


def _reads(project: Project, recorded: Recorded) -> set[str]:
    """The recorded results whose predictions the chapter reads for this one; none where the chapter has changed so."""
    try:
        values = load_contract(project, recorded.chapter).resolve(recorded.given)
    except RequestError:
        return set()
    sources = named_sources(values).values()
    return {str(source) for source in sources if isinstance(source, Predictions) and source.is_shipped}


def points_with_data(project: Project, recorded: Recorded, local: dict[str, str]) -> Points:
    """The points of a recorded result, with the local files that it was computed from.

    Args:
        project: the checkout.
        recorded: the result.
        local: the path for each parameter that stands in the record by a public name.

    Raises:
        RequestError: where the chapter no longer takes the command, or a path is missing, not needed, or leads to
            other data than the record's fingerprint says.
    """
    public = recorded.record["public"]
    if unneeded := sorted(local.keys() - public.keys()):
        raise RequestError(f"-p {unneeded[0]}: {recorded.name} was computed from no local file of that name")
    if missing := sorted(public.keys() - local.keys()):
        options = " ".join(f"-p {name}=PATH" for name in missing)
        names = "; ".join(f"{name}: {public[name]}" for name in missing)
        raise RequestError(f"{recorded.name} was computed from local files: {options} says where they are ({names})")
    points = points_again(project, recorded, local)
    _refuse_other_data(project, recorded, points)
    return points


def _refuse_other_data(project: Project, recorded: Recorded, points: Points) -> None:
    """Raise a RequestError with a sentence for each local file that has another fingerprint than the recorded one."""
    public, mistakes = recorded.record["public"], []
    if not public:
        return
    first = Sweep(project, load_contract(project, recorded.chapter), points.points[:1], ())
    now = first.keys.ingredients(first.points[0])
    for part in ("data", "checkpoints"):
        for label, fingerprint in recorded.record["ingredients"].get(part, {}).items():
            name, present = label.partition("[")[0], str(now[part].get(label))
            if name in public and present != fingerprint:
                mistakes.append(
                    f"-p {name}: it has the fingerprint {present[:16]}…, and what was recorded ({public[name]}) "
                    f"has {fingerprint[:16]}…"
                )
    if mistakes:
        raise RequestError(*mistakes)


def record_again(project: Project, recorded: Recorded, sweep: Sweep) -> Path:
    """Record a result that has been computed again in the place of the old one.

    Args:
        project: the checkout.
        recorded: the old one.
        sweep: all its points, every one of them completed.

    Raises:
        RequestError: where its predictions were kept and the new runs have none.
        RunError: where the folder cannot be written; what it held stays.
    """
    public, predictions = recorded.record["public"], (recorded.folder / PREDICTIONS).exists()
    if recorded.is_sweep:
        folder = write_results(sweep, summaries(sweep), recorded.command)
        return record_sweep(project, folder, recorded.name, public, predictions=predictions, replace=True)
    run = find_run(project, sweep.outcome(0).run, recorded.chapter)
    return record_run(project, run, recorded.name, public, predictions=predictions, replace=True)
