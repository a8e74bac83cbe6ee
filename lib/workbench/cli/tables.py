"""Tables on the terminal: runs, one run, several side by side, parameters, the state of chapters, the machine.

What a record or a folder's name says is shown as text: it neither styles the table nor steers the terminal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from workbench.cli.console import out, print_headline
from workbench.cli.doctor import Check
from workbench.core.machine import commit_in_words, in_words
from workbench.core.text import counted, duration, few, measured, metric_cells, number, roughly, shown, visible
from workbench.parameters.contract import Contract
from workbench.recorded.confirm import agrees, named
from workbench.runs.compare import Comparison, Difference, Row, has_changed
from workbench.runs.headline import headline_of, is_same
from workbench.runs.staleness import CURRENT, State
from workbench.runs.store import Run

_COLOURS = {"completed": "green", "failed": "red", "interrupted": "yellow", "running": "cyan", "damaged": "red"}
_MOST_REASONS = 8
_MOST_ROWS = 1000
_OF_A_CLASS = ("precision", "recall", "f1")


def print_runs(runs: Iterable[Run], chapters: Sequence[str]) -> None:
    """The runs, a line each, printed as they are read: ten thousand of them take no more memory than ten."""
    status_of = {status: _painted(f"{status:<11}", colour) for status, colour in _COLOURS.items()}
    width = max(map(len, [*chapters, "chapter"]))
    heading, defaults = True, _painted("defaults", "dim")
    for run in runs:
        if heading:
            print(f"{'run':<25}  {'chapter':<{width}}  {'status':<11}  {'time':>12}  {'claims':<7}  parameters")
            heading = False
        took = held = ""
        if run.problem is None:
            claims, seconds = run.record["claims"], run.record["seconds"]
            held = f"{sum(claim['holds'] for claim in claims)}/{len(claims)}" if claims else ""
            took = "" if seconds is None else duration(seconds)
            given = run.record["parameters"]["given"]
            said = visible(", ".join(f"{name}={value}" for name, value in given.items())) or defaults
        else:
            said = run.problem
        name, chapter = visible(run.id), visible(run.chapter)
        print(f"{name:<25}  {chapter:<{width}}  {status_of[run.status]}  {took:>12}  {held:<7}  {said}")
    if heading:
        out.print("No runs yet; `workbench run CHAPTER` makes one.")


def print_run(run: Run, headline: Sequence[str]) -> None:
    """One run: the metrics of its chapter's headline, then its facts, parameters, metrics and claims."""
    record = run.record
    out.print(f"[bold]{_text(run.chapter)}[/] {run.id}  {_status(run)}")
    print_headline(headline_of(headline, record["metrics"]))
    facts = {
        "started": record["started"],
        "took": None if record["seconds"] is None else duration(record["seconds"]),
        "machine": in_words(record["machine"]),
        "Python": record["python"],
        "commit": commit_in_words(record["git"]),
        "peak memory": record["peak_memory_bytes"] and f"{record['peak_memory_bytes'] / 2**20:,.0f} MiB",
        "CPU time": record["cpu_seconds"] and duration(record["cpu_seconds"]),
        "notebook": run.notebook,
    }
    for name, value in facts.items():
        if value:
            out.print(f"  {name:<12} {_text(value)}", soft_wrap=True)
    given, resolved = record["parameters"]["given"], record["parameters"]["resolved"]
    rows = [(name, value, "given" if name in given else "default") for name, value in resolved.items()]
    _print_table("parameters", ("name", "value", ""), rows)
    for name, description in record["sources"].items():
        print_source(name, description)
    _print_table("metrics", ("name", "value", "95% interval", "n"), map(metric_cells, record["metrics"]))
    claims = [
        (_mark(each["holds"]), each["statement"], each["bound"], number(each["value"])) for each in record["claims"]
    ]
    _print_table("claims", ("", "claim", "bound", "measured"), claims)
    if record["error"]:
        out.print(f"\n[red]failed[/] in cell {record['error']['number']} ({_text(record['error']['cell'])})")
        out.print("\n".join(visible(line) for line in record["error"]["traceback"]), markup=False)


def print_source(name: str, description: Mapping[str, str], examples: Iterable[Mapping[str, str]] = ()) -> None:
    """What was taken from a source of data or a model, and some examples of it."""
    _print_table(f"taken from {visible(name)}", ("", ""), description.items())
    for place, example in enumerate(examples, start=1):
        _print_table(f"example {place}", ("", ""), ((part, shown(text, 200)) for part, text in example.items()))


def print_parameters(contract: Contract) -> None:
    """A chapter's parameters: name, type, default and what each is."""
    rows = [(each.name, each.type_text, repr(each.default), each.comment) for each in contract.parameters.values()]
    _print_table(f"parameters of {contract.chapter}", ("name", "type", "default", "what it is"), rows)


def print_comparison(comparison: Comparison, everything: bool) -> None:
    """Runs side by side, with the differences to the first; with `everything`, also what is the same in all."""
    out.print(f"[bold]{_text(comparison.runs[0].chapter)}[/]")
    labels = [str(place) for place in range(1, len(comparison.runs) + 1)]
    for label, run, others in zip(labels, comparison.runs, comparison.otherwise, strict=True):
        said = f"; other than in 1: {few(others)}" if others else ""
        out.print(f"  {label}  {run.id}  {_status(run)}{_text(said)}", soft_wrap=True)
    parameters = [row for row in comparison.parameters if everything or row.differs]
    _print_table("parameters", ("name", *labels), [(row.name, *row.values) for row in parameters])
    if not any(row.differs for row in comparison.parameters):
        out.print("\nAll parameters are the same.")
    pairs = [heading for label in labels[1:] for heading in (label, f"{label} − 1")]
    rows = [_compared(row, comparison.differences[row.name]) for row in comparison.metrics]
    _print_table("metrics", ("name", labels[0], *pairs), rows)
    if any(one and one.low is not None for each in comparison.differences.values() for one in each):
        out.print("Intervals are 95%, of differences as if the runs were independent of each other.", style="dim")
    _print_pairs(comparison)
    claims = [row for row in comparison.claims if everything or has_changed(row)]
    title = "claims" if everything else "claims that changed"
    _print_table(title, ("claim", *labels), [(row.name, *map(_claim, row.values)) for row in claims])
    if comparison.claims and not claims:
        out.print(f"\nAll claims ({len(comparison.claims)}) are as in the first run.")


def _print_pairs(comparison: Comparison) -> None:
    """Models beside their counterparts in the first run, and what the numbers say and do not say."""
    pairs = comparison.paired
    for file, run in dict.fromkeys((pair.file, pair.run) for pair in pairs):
        label = str(run + 1)
        _print_table(
            f"pair by pair: {visible(file)}",
            ("model", "1", label, f"{label} − 1", "95% interval", "p", "Holm p"),
            [_paired(pair) for pair in pairs if (pair.file, pair.run) == (file, run)],
        )
    if pairs:
        out.print(
            "Right answers to the examples that both runs were asked about, model by model. Intervals come from drawing"
            " whole documents anew (examples, where no document is named). p is the chance of so large a difference"
            " between models that are equally often right (McNemar's exact test, example by example); Holm p is"
            f" corrected for all {counted(len(pairs), 'pair')}. The intervals of the metrics take the runs for"
            " independent, which runs on the same examples are not. How other seeds would do is another question.",
            style="dim",
        )
    if comparison.not_paired:
        out.print("Not compared pair by pair:", style="dim")
    for sentence in comparison.not_paired:
        out.print(f"  {_text(sentence)}", style="dim", soft_wrap=True)


def _paired(pair: Any) -> tuple[str | None, ...]:
    interval = None if pair.low is None else f"{pair.low:+.4f} to {pair.high:+.4f}"
    chances = ("<0.0001" if p < 0.0001 else f"{p:.2g}" for p in (pair.p, pair.p_holm))
    rights = (f"{pair.right_first}/{pair.n}", f"{pair.right}/{pair.n}")
    return (pair.model, *rights, f"{pair.difference:+.4f}", interval, *chances)


def print_states(states: Iterable[State]) -> None:
    """A line for each chapter, and the reasons where its run is not current."""
    for state in states:
        colour = "green" if state.state == CURRENT else "red" if state.state == "broken" else "yellow"
        name = f"  {state.run}" if state.run else ""
        out.print(f"[bold]{_text(state.chapter)}[/]  [{colour}]{state.state}[/]{_text(name)}", soft_wrap=True)
        reasons = () if state.reasons == (state.state,) else state.reasons
        for reason in reasons[:_MOST_REASONS]:
            out.print(f"  {_text(reason)}", soft_wrap=True)
        if len(reasons) > _MOST_REASONS:
            out.print(f"  and {len(reasons) - _MOST_REASONS} more; --json lists them")


def print_recorded(rows: Iterable[dict[str, Any]]) -> None:
    """Recorded results, a line each."""
    cells = []
    for row in rows:
        outcome = row["confirmed"]
        compared = f"{len(outcome['points'])} of {outcome['of']}, {outcome['date'][:10]}" if outcome else ""
        same = "" if not outcome else "same" if agrees(outcome) else "differs"
        same = "outdated" if row["confirmation_outdated"] else same
        state = Text(row["state"], {"current": "green", "stale": "yellow"}.get(row["state"], "red"))
        cells.append((row["name"], state, row["points"], roughly(row["seconds"]), compared, same))
    _print_table("recorded results", ("name", "", "runs", "time", "compared", ""), cells)


def print_confirmation(outcome: dict[str, Any]) -> None:
    """What differs between a recorded result and its points computed again."""
    parts = ("recorded", "now", "absolute", "relative")
    _print_table(
        "metrics that differ (the largest difference of each)",
        ("metric", "recorded", "now", "difference", "relative", "point"),
        [
            (named(each), *("–" if each[part] is None else number(each[part]) for part in parts), each["point"])
            for each in outcome["differences"]
        ],
    )
    parts = ("claim", "recorded", "now", "point")
    _print_table("claims that differ", parts, [[claim[part] for part in parts] for claim in outcome["claims"]])
    rows = [
        (name, kind, "the record" if side == "recorded" else "today's runs")
        for side, of in outcome["unmatched"].items()
        for kind, names in of.items()
        for name in names
    ]
    _print_table("not compared, for one side alone has them", ("", "", "in"), rows)


def print_checks(checks: Iterable[Check]) -> None:
    """A line for each check, as it is made, and under it what to do where something is not as it should be."""
    for check in checks:
        mark = Text("!", "yellow") if not check.fine and not check.needed else _mark(check.fine)
        out.print(mark, f"{check.name:<13} {_text(check.found)}", soft_wrap=True)
        if not check.fine:
            out.print(f"  {'':<13} {_text(check.remedy)}", style="dim", soft_wrap=True)


def print_answers(answered: Iterable[tuple[dict[str, Any], str | None, list[float | None]]], labels: list[str]) -> None:
    """What a classifier answers to texts, with the probability of each class, as `workbench predict` gives them."""
    rows = [
        (" / ".join(map(str, row.values())), answer, *(None if each is None else f"{each:.3f}" for each in given))
        for row, answer, given in answered
    ]
    _print_table("answers", ("text", "answer", *labels), rows)


def print_evaluation(file: str, result: dict[str, Any]) -> None:
    """What models answered: the models, the classes of each, and the pairs, as `workbench evaluate` judges them."""
    models = result["models"]
    rows = [
        (row["model"], f"{row['right']}/{row['n']}", _with_interval(row, "accuracy"), _with_interval(row, "macro_f1"))
        for row in models.to_dict("records")
    ]
    _print_table(visible(file), ("model", "right", "accuracy", "macro F1"), rows)
    for model, table in result["classes"].items():
        rows = [
            (row["label"], row["n"], row["answered"], *(_with_interval(row, each) for each in _OF_A_CLASS))
            for row in table.to_dict("records")
        ]
        _print_table(visible(str(model)), ("class", "n", "answered", *_OF_A_CLASS), rows)
    rows = [
        (
            f"{row['better']} − {row['other']}",
            f"{row['only_better']}:{row['only_other']}" if row["only_better"] + row["only_other"] else "they agree",
            f"{row['difference']:+.3f}{_ends(row['low'], row['high'], '+.3f', ' to ')}",
            f"{row['p']:.2g}",
            f"{row['holm']:.2g}",
        )
        for row in result["pairs"].to_dict("records")
    ]
    _print_table("pairs", ("pair", "one right", "difference", "p", "Holm p"), rows)
    out.print(
        "Intervals are 95%: of precision and recall Wilson's, of F1 and differences by bootstrap over documents. p is"
        " McNemar's exact test; Holm p is corrected for all pairs.",
        style="dim",
    )


def _with_interval(row: dict[str, Any], name: str) -> str:
    """A share with its interval, as a cell shows it; nothing for one that there is none of."""
    if math.isnan(row[name]):
        return ""
    return f"{row[name]:.3f}{_ends(row[f'{name}_low'], row[f'{name}_high'], '.2f', '–')}"


def _ends(low: float | None, high: float | None, form: str, between: str) -> str:
    return "" if low is None or math.isnan(low) else f" ({low:{form}}{between}{high:{form}})"


def _compared(row: Row, differences: Sequence[Difference | None]) -> tuple[str | None, ...]:
    first = row.values[0]
    cells = [row.name, first and measured(first)]
    for metric, difference in zip(row.values[1:], differences[1:], strict=True):
        # Estimates that agree but for rounding are one computation, of which an interval would say nothing.
        is_one = bool(first and metric) and all(is_same(first[part], metric.get(part)) for part in first)
        cells += [metric and measured(metric), "=" if is_one else _difference(difference)]
    return tuple(cells)


def _difference(difference: Difference | None) -> str | None:
    if difference is None:
        return None
    ends = "" if difference.low is None else f" ({difference.low:+.3g} to {difference.high:+.3g})"
    return f"{difference.value:+.3g}{ends}"


def _claim(claim: dict[str, Any] | None) -> Text | None:
    return claim and _mark(claim["holds"]) + Text(visible(f" {number(claim['value'])} ({claim['bound']})"))


def _mark(holds: bool) -> Text:
    return Text("✓", "green") if holds else Text("✗", "red")


def _print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table under its title, or nothing where there is no row; a cell that is no `Text` is shown as it is written.

    Of very many rows the first are shown: laying out all of them would take half a minute.
    """
    table = Table(Column(columns[0], overflow="fold"), *columns[1:], box=None, pad_edge=False)
    rows = list(rows)
    for row in rows[:_MOST_ROWS]:
        cells = ("–" if cell is None else cell for cell in row)
        table.add_row(*(cell if isinstance(cell, Text) else Text(visible(str(cell))) for cell in cells))
    if table.rows:
        out.print(f"\n[bold]{escape(title)}[/]")
        out.print(table)
    if len(rows) > _MOST_ROWS:
        out.print(f"and {len(rows) - _MOST_ROWS:,} more; --json lists them")


def _status(run: Run) -> str:
    return f"[{_COLOURS[run.status]}]{run.status}[/]"


def _painted(text: str, colour: str) -> str:
    """Text as it is printed in a colour; plain where the output has none."""
    with out.capture() as captured:
        out.print(text, style=colour, end="")
    return captured.get()


def _text(value: Any) -> str:
    return escape(visible(str(value)))
