"""Computing some points of a recorded result again at today's code, and comparing them with what is recorded.

A change makes a recorded result stale; a few points that come out the same say that it may have changed no number. They
are drawn by a seed that the change itself decides, so that nobody can draw until the points are lucky ones, and a
second confirmation of the same change compares no fewer. Whether a changed definition runs may depend on a choice (a
text, a switch, a list), which the syntax does not show: so points are added until every value of every choice that
varies is among them. A number that varies says how much is run, not what; only 0 may leave something out.

A parameter that the command leaves to its default has the recorded value where the default has changed since: what is
compared is the same experiment. Metrics are compared to six digits, which single precision keeps, with their intervals
and counts. Left out are times: metrics of which a word in the name is one of `TIMES`, such as `epoch_seconds`,
`texts_per_second` or `time_ratio`. Of a claim it is compared whether it holds. A sweep's record counts in how many runs
each claim held, so of one that held in some of them the computed points may not show more successes, or more failures,
than all recorded runs together.

A metric that only today's runs have was not recorded, and a claim that only one side makes has been added, withdrawn or
put in other words: there is nothing to compare them with, so they are counted and said, and are no difference. A metric
that is gone is one, for what the page shows is no longer measured.
"""

from __future__ import annotations

import math
import platform
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from workbench.core.errors import RequestError, RunError
from workbench.core.files import write_atomically
from workbench.core.machine import commit_in_words, git_state, machine
from workbench.core.project import Project
from workbench.core.text import counted, few, is_number, number
from workbench.parameters.contract import Contract, load_contract
from workbench.parameters.types import plain
from workbench.recorded.again import points_with_data
from workbench.recorded.recording import as_text
from workbench.recorded.result import CONFIRMED, Recorded, change, recorded_axes, recorded_runs
from workbench.runs.store import Run, find_run, iso
from workbench.sweeps.grid import Point, Points
from workbench.sweeps.sweep import Metric, Sweep, metrics_of

TIMES = {"second", "seconds", "ms", "time"}
DIGITS = 1e-6  # the relative difference up to which two numbers are the same
_MISSING = "missing"
_SIDES = {"recorded": "in the record alone", "now": "today alone"}


def to_confirm(project: Project, recorded: Recorded, local: dict[str, str], count: int) -> Sweep:
    """The points of a recorded result that are computed again, as a sweep: `count`, or more where choices vary.

    Raises:
        RequestError: as `points_with_data` does, and where the recorded runs themselves would be compared.
    """
    points = points_with_data(project, recorded, local)
    places = _drawn(recorded, points, count, change(project, recorded))
    contract = load_contract(project, recorded.chapter)
    kept = changed_defaults(contract, recorded)
    chosen = [points.points[place] for place in places]
    chosen = [Point(point.given | kept, point.values | kept) for point in chosen]
    sweep = Sweep(project, contract, chosen, tuple(recorded.varied))
    runs = recorded_runs(recorded)
    if any(outcome.run in runs for outcome in sweep.ledger.outcomes.values()):
        raise RequestError(f"{recorded.name} is current, and its runs are still here: they are what would be compared")
    return sweep


def changed_defaults(contract: Contract, recorded: Recorded) -> dict[str, Any]:
    """The recorded values of the parameters whose defaults the command took and that have other defaults today.

    Raises:
        RequestError: where the chapter no longer takes such a value.
    """
    then, public = recorded.record["parameters"]["resolved"], recorded.record["public"]
    left = (contract.parameters.keys() & then.keys()) - recorded.given.keys() - public.keys()
    today = contract.resolve(recorded.given)
    changed = sorted(name for name in left if then[name] != plain(today[name]))
    before = contract.resolve(recorded.given | {name: then[name] for name in changed})
    return {name: plain(before[name]) for name in changed}


def _drawn(recorded: Recorded, points: Points, count: int, seed: str) -> list[int]:
    """The places of the points to compute: first those that bring a new value of a choice, then any.

    A larger count adds points to those of a smaller one.
    """
    values = [point.values for point in points.points]
    axes = recorded_axes(recorded)
    choices = [name for name in axes if not all(is_number(each[name]) and each[name] != 0 for each in values)]
    places = random.Random(seed).sample(range(len(values)), len(values))
    chosen: list[int] = []
    seen: set[tuple[str, str]] = set()
    for place in places:
        here = {(name, _choice(values[place][name])) for name in choices}
        if not here <= seen:
            chosen.append(place)
            seen |= here
    if recorded.confirmed and recorded.confirmed["change"] == seed:
        count = max(count, len(recorded.confirmed["points"]))
    rest = [place for place in places if place not in chosen]
    return chosen + rest[: max(0, count - len(chosen))]


def _choice(value: Any) -> str:
    """A value as a choice: numbers are one choice, and 0, which often leaves something out, is another."""
    return "a number" if is_number(value) and value != 0 else repr(value)


def compared(project: Project, recorded: Recorded, sweep: Sweep) -> dict[str, Any]:
    """What came of the points of `to_confirm`, every one of them completed, as `confirmed.json` keeps it.

    Raises:
        RequestError: where what was recorded of a point cannot be read.
    """
    then = {_key(values, recorded.varied): metrics for values, metrics in recorded_runs(recorded).values()}
    points, differences, runs = [], [], {}
    names: set[str] = set()
    for place, point in enumerate(sweep.points):
        label = sweep.label(place)
        runs[label] = run = find_run(project, sweep.outcome(place).run, recorded.chapter)
        before, now = then.get(_key(point.values, recorded.varied)), metrics_of(run.record)
        if before is None:
            raise RequestError(f"{recorded.name}: its table has no run of {label}")
        names |= {metric.name for metric in before}
        points.append({"parameters": {name: point.values[name] for name in recorded.varied}, "run": run.id})
        differences += [{**difference, "point": label} for difference in _differences(before, now)]
    return {
        "date": iso(datetime.now(UTC)),
        "git": git_state(project.root),
        "machine": machine(),
        "python": platform.python_version(),
        "change": change(project, recorded),
        "of": recorded.points,
        "points": points,
        "kept": sorted(changed_defaults(sweep.contract, recorded)),
        "metrics": sum(not is_time(name) for name in names),
        "times": sorted(filter(is_time, names)),
        "differences": _largest(differences),
        "claims": list(_differing_claims(recorded, runs)),
        "unmatched": _unmatched(recorded, then.values(), runs.values()),
    }


def keep(recorded: Recorded, outcome: dict[str, Any]) -> None:
    """Write the outcome beside the record, which stays as it is.

    Raises:
        RunError: where the folder cannot be written.
    """
    try:
        write_atomically(recorded.folder / CONFIRMED, as_text(outcome))
    except OSError as error:
        raise RunError(f"{recorded.folder} cannot be written: {error.strerror}") from None


def agrees(outcome: dict[str, Any]) -> bool:
    """Whether something was compared, and every metric and claim that was is the recorded one."""
    return outcome["metrics"] > 0 and not outcome["differences"] and not outcome["claims"]


def in_words(outcome: dict[str, Any]) -> str:
    """The outcome in a sentence or two, such as `Confirmed on 2 of 24 points at commit 0123456 on 2026-11-27: …`."""
    commit = commit_in_words(outcome["git"])
    at = f"at commit {commit}" if commit else "at no commit"
    where = f"on {len(outcome['points'])} of {counted(outcome['of'], 'point')} {at} on {outcome['date'][:10]}"
    if outcome["kept"]:
        where += f", with the recorded {few([f'`{name}`' for name in outcome['kept']])}"
    if agrees(outcome):
        return f"Confirmed {where}: every metric and claim was the same{_unmatched_in_words(outcome['unmatched'])}."
    if not outcome["metrics"]:
        return f"Computed again {where}: it has no metric but times, so nothing says whether it is the same."
    said = [_difference_in_words(difference) for difference in outcome["differences"]]
    said += [f"“{claim['claim']}” {claim['recorded']} → {claim['now']}" for claim in outcome["claims"]]
    return f"Compared {where}, and not the same: {few(said)}."


def _unmatched_in_words(unmatched: dict[str, Any]) -> str:
    """Such as ", of those that both have (2 claims in the record alone, 1 metric today alone)"."""
    counts = [
        (len(names), kind.removesuffix("s"), side) for side, of in unmatched.items() for kind, names in of.items()
    ]
    said = [f"{counted(count, kind)} {_SIDES[side]}" for count, kind, side in counts if count]
    return f", of those that both have ({', '.join(said)})" if said else ""


def _difference_in_words(difference: dict[str, Any]) -> str:
    """Such as "`accuracy` by 0.002 (0.81 → 0.812)"."""
    by = "" if difference["absolute"] is None else f" by {number(difference['absolute'])}"
    return f"`{named(difference)}`{by} ({number(difference['recorded'])} → {number(difference['now'])})"


def named(difference: dict[str, Any]) -> str:
    """The metric, and in brackets what of it differs where that is not its value."""
    return difference["metric"] + ("" if difference["part"] == "value" else f" ({difference['part']})")


def is_time(metric: str) -> bool:
    """Whether a metric is a time or a rate, by its name."""
    return not TIMES.isdisjoint(metric.split("_"))


def _key(values: dict[str, Any], names: list[str]) -> tuple[str, ...]:
    """What tells a point from the others, as text: a table has some parameters as text."""
    return tuple(str(values[name]) for name in names)


def _differences(then: Sequence[Metric], now: Sequence[Metric]) -> Iterator[dict[str, Any]]:
    """For each recorded metric that is not the same, the first part of it that differs."""
    after = {metric.name: metric for metric in now}
    for before in then:
        if is_time(name := before.name):
            continue
        for part in ("value", "low", "high", "count", "n"):
            old, new = getattr(before, part), getattr(after[name], part) if name in after else _MISSING
            if old != new and not _same_number(old, new):
                sizes: dict[str, float | None] = {"absolute": None, "relative": None}
                if is_number(old) and is_number(new):
                    sizes = {"absolute": abs(new - old), "relative": abs(new - old) / abs(old) if old else None}
                yield {"metric": name, "part": part, "recorded": old, "now": new, **sizes}
                break


def _same_number(old: Any, new: Any) -> bool:
    """Whether two numbers are the same to six digits."""
    return is_number(old) and is_number(new) and math.isclose(old, new, rel_tol=DIGITS, abs_tol=0)


def _largest(differences: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each metric the largest difference over the points; one that is no number counts as larger than any."""
    by_metric: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for difference in differences:
        by_metric[difference["metric"]].append(difference)
    sizes = [[math.inf if each["absolute"] is None else each["absolute"] for each in of] for of in by_metric.values()]
    return [of[size.index(max(size))] for of, size in zip(by_metric.values(), sizes, strict=True)]


def _differing_claims(recorded: Recorded, runs: dict[str, Run]) -> Iterator[dict[str, str]]:
    """The claims that hold or fail in a computed point as in no recorded run, or in more of them than in all runs."""
    then = _outcomes(recorded.record["claims"], recorded.is_sweep)
    now = {label: _outcomes(run.record["claims"], recorded.is_sweep) for label, run in runs.items()}
    made = {claim for outcomes in now.values() for claim in outcomes}
    for label, outcomes in now.items():
        for claim in [claim for claim in then if claim in made]:
            before, after = set(then[claim]), set(outcomes.get(claim, [_MISSING]))
            if len(then[claim]) < recorded.points:
                before.add(_MISSING)
            if not after <= before:
                said = {"recorded": " or ".join(sorted(before)), "now": " and ".join(sorted(after))}
                yield {"claim": claim, **said, "point": label}
    for claim, before in then.items():
        after = [outcome for outcomes in now.values() for outcome in outcomes.get(claim, ())]
        if len(set(before)) > 1 and any(after.count(outcome) > before.count(outcome) for outcome in set(after)):
            counts = [f"held in {each.count('holds')} of {len(each)}" for each in (before, after)]
            yield {"claim": claim, "recorded": counts[0], "now": counts[1], "point": counted(len(runs), "point")}


def _unmatched(
    recorded: Recorded, then: Iterable[Sequence[Metric]], now: Iterable[Run]
) -> dict[str, dict[str, list[str]]]:
    """The claims of every recorded run that no computed one makes, and claims and metrics that no recorded run has.

    A claim of some recorded runs depends on what they found or vary, so that the computed points may do without it.
    """
    before = _outcomes(recorded.record["claims"], recorded.is_sweep)
    runs = list(now)
    after = {claim for run in runs for claim in _outcomes(run.record["claims"], recorded.is_sweep)}
    measured = {metric.name for metrics in then for metric in metrics}
    today = {metric.name for run in runs for metric in metrics_of(run.record)}
    every = {claim for claim, outcomes in before.items() if len(outcomes) == recorded.points}
    return {
        "recorded": {"claims": sorted(every - after)},
        "now": {"claims": sorted(after - before.keys()), "metrics": sorted(today - measured)},
    }


def _outcomes(claims: list[dict[str, Any]], of_a_sweep: bool) -> dict[str, list[str]]:
    """In how many runs each claim `holds` or `fails`, an item each.

    A claim is known by its statement and bound; but a bound may follow a parameter, and of a sweep's runs the record
    has that of the first.
    """
    outcomes: dict[str, list[str]] = defaultdict(list)
    for claim in claims:
        held, runs = (claim["held"], claim["runs"]) if "held" in claim else (int(claim["holds"]), 1)
        name = claim["statement"] if of_a_sweep else f"{claim['statement']} {claim['bound']}"
        outcomes[name] += ["holds"] * held + ["fails"] * (runs - held)
    return outcomes
