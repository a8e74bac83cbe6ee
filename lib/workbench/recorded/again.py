"""Computing recorded results again: their order, their points with the local files, and recording them as they were."""

from __future__ import annotations

from pathlib import Path

from workbench.core.errors import RequestError
from workbench.core.project import PREDICTIONS, Project
from workbench.parameters.contract import load_contract
from workbench.parameters.types import Predictions, named_sources
from workbench.recorded.recording import record_result
from workbench.recorded.result import Recorded, all_recorded, points_again
from workbench.runs.store import find_run
from workbench.sweeps.grid import Points
from workbench.sweeps.summary import summaries, write_results
from workbench.sweeps.sweep import Keys, Sweep


def in_order(project: Project) -> list[Recorded]:
    """Every recorded result, behind those whose predictions it reads, and otherwise the shortest first.

    Raises:
        RequestError: for a record that cannot be read, or results that read each other's predictions.
    """
    left = {recorded.name: recorded for recorded in all_recorded(project)}
    reads = {name: _reads(project, each) - {name} for name, each in left.items()}
    order: list[Recorded] = []
    while left:
        ready = [each for name, each in left.items() if not reads[name] & left.keys()]
        if not ready:
            raise RequestError(f"these recorded results read each other's predictions: {', '.join(left)}")
        shortest = min(ready, key=lambda each: (each.record["seconds"], each.record["started"]))
        order.append(left.pop(shortest.name))
    return order


def _reads(project: Project, recorded: Recorded) -> set[str]:
    """The recorded results whose predictions the chapter reads for this one; none where the chapter has changed so."""
    try:
        values = load_contract(project, recorded.chapter).resolve(recorded.given)
    except RequestError:
        return set()
    sources = named_sources(values).values()
    return {str(source) for source in sources if isinstance(source, Predictions) and source.is_shipped}


def points_with_data(project: Project, recorded: Recorded, local: dict[str, str]) -> Points:
    """The points of a recorded result, with a local path for each parameter that stands in the record by a public name.

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
    contract = load_contract(project, recorded.chapter)
    now = Keys(contract, points.points[:1]).ingredients(points.points[0])
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
    """Record a result in the place of the old one, from all its points, every one of them completed.

    Raises:
        RequestError: where its predictions were kept and the new runs have none.
        RunError: where the folder cannot be written; what it held stays.
    """
    if recorded.is_sweep:
        result = write_results(sweep, summaries(sweep), recorded.command)
    else:
        result = find_run(project, sweep.outcome(0).run, recorded.chapter)
    predictions = (recorded.folder / PREDICTIONS).exists()
    return record_result(
        project, result, recorded.name, recorded.record["public"], predictions=predictions, replace=True
    )
