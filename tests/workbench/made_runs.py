"""Runs on disk that nothing has run: whole, damaged and forged ones."""

from __future__ import annotations

import copy
import functools
import json
import operator
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from workbench.core.project import Project
from workbench.runs.store import iso, notebook_facts, unused_folder, write_record

NOW = datetime(2026, 11, 23, 18, 45, tzinfo=UTC)
NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def whole_record(chapter: str = "toy", key: str = "1a2b3c4d5e", **changes: Any) -> dict[str, Any]:
    """A record with everything that a run writes."""
    metric = {"name": "accuracy", "value": 0.75, "count": 75, "n": 100, "low": 0.65, "high": 0.83}
    claim = {"statement": "It learns", "bound": "above 0.5", "value": 0.75, "holds": True, "n": 100}
    record = {
        "format": 1,
        "chapter": chapter,
        "status": "completed",
        "key": key,
        "ingredients": {
            "code": [["parameters", "aa"], ["cell-0", "bb"]],
            "parameters": {"size": 3},
            "definitions": {"largemodels.attention.vectors:cosine": "cc", "largemodels.attention.vectors:_LEAST": "dd"},
            "links": "11",
            "package_data": {"largemodels/words.txt": "ee"},
            "versions": {"python": "3.12", "torch": "2.13.0"},
            "data": {"corpus": "ff"},
        },
        "parameters": {"given": {"size": "3"}, "resolved": {"size": 3, "depths": [1, 2]}},
        "started": "2026-11-23T18:45:00Z",
        "ended": "2026-11-23T18:45:09Z",
        "seconds": 9.5,
        "sources": {"dataset": {"source": "a.csv", "rows": "60 taken"}},
        "metrics": [metric],
        "claims": [claim],
        "cells": [{"id": "cell-0", "seconds": 1.5}],
        "error": {"cell": "cell-0", "number": 1, "name": "E", "message": "m", "traceback": ["E: m"]},
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "python": "3.12.1",
        "packages": {"numpy": "2.4.0", "torch": "2.13.0"},
        "machine": {
            "platform": "Linux x86_64",
            "processor": "a processor",
            "cores": 2,
            "threads": 2,
            "memory_bytes": 8_000_000_000,
            "gpus": [],
        },
        "peak_memory_bytes": 1_000_000,
        "cpu_seconds": 12.5,
        "notebook": None,
    }
    return {**record, **changes}


def new_run_folder(runs: Path, chapter: str, key: str, now: datetime) -> Path:
    """An empty folder for a run."""
    folder = unused_folder(runs, chapter, key, now)
    folder.mkdir(parents=True)
    return folder


def make_run(project: Project, *, chapter: str = "toy", key: str = "1a2b3c4d5e", after: float = 0, **changes: Any):
    """The folder of a run that started `after` seconds after NOW."""
    started = NOW + timedelta(seconds=after)
    folder = new_run_folder(project.runs, chapter, key, started)
    notebook = folder / f"{chapter}.ipynb"
    notebook.write_text(json.dumps(NOTEBOOK))
    facts = {"started": iso(started), "notebook": notebook_facts(notebook)}
    write_record(folder, whole_record(chapter, key, **facts) | changes)
    return folder


def save_answers(
    run: Path, right: dict[str, Sequence[bool]], *, file: str = "test", first: int = 0, documents: Sequence[str] = ()
) -> None:
    """Save predictions as a chapter does: which examples each model got right, and the document of each."""
    import numpy as np
    import pandas as pd

    from largemodels.data.predictions import predictions_table, save_predictions

    count = len(next(iter(right.values())))
    examples = pd.DataFrame({"text": [f"text {first + place}" for place in range(count)], "label": 0})
    if documents:
        examples["document"] = documents
    logs = {model: np.log(np.where(np.array(found)[:, None], [0.9, 0.1], [0.2, 0.8])) for model, found in right.items()}
    save_predictions(predictions_table(examples, logs, ("yes", "no")), file, run / "predictions")


def places_in(value: Any, place: tuple = ()) -> Iterator[tuple]:
    """Where every part of a record is, at any depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in items:
        yield (*place, name)
        yield from places_in(part, (*place, name))


def replaced(record: dict[str, Any], place: tuple, value: Any) -> dict[str, Any]:
    """A copy of a record with another value in one place."""
    changed = copy.deepcopy(record)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return changed


def forge(project: Project, outside: Path) -> int:
    """Fill the runs of `toy` with more than a hundred damaged or forged folders and return how many there are.

    `outside` is a folder whose files some of them point to.
    """
    count = 0

    def folder(name: str | None = None) -> Path:
        nonlocal count
        count += 1
        path = project.runs / "toy" / (name or f"20261101T{count:06d}Z-1a2b3c4d")
        path.mkdir(parents=True)
        return path

    def written(text: str | bytes, name: str | None = None) -> Path:
        path = folder(name)
        (path / "run.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        (path / "toy.ipynb").write_text(json.dumps(NOTEBOOK))
        return path

    good = whole_record()
    text = json.dumps(good)
    for length in range(0, len(text), len(text) // 20):
        written(text[:length])
    for raw in ("[]", "null", "5", '"text"', "[" * 100_000, '{"key":' * 10_000, "\ufeff" + text, '{"a": NaN}'):
        written(raw)
    for raw in (b"\xff\xfe\x00", b"\0" * 100, text.encode("utf-16"), text.replace("It learns", "\\ud800").encode()):
        written(raw)
    for place in places_in(good):
        if place[0] != "ingredients" or len(place) == 2:
            is_mapping = isinstance(functools.reduce(operator.getitem, place, good), dict)
            written(json.dumps(replaced(good, place, ["wrong"] if is_mapping else {"wrong": [{"type": 1e308}]})))
    for part in ("format", "status", "key", "parameters", "started"):
        written(json.dumps({name: value for name, value in good.items() if name != part}))
    for name in ("../toy", "../../etc", "/etc", "other", "toy/../../x", "\x1b[2J"):
        written(json.dumps({**good, "chapter": name}))
    written(json.dumps({**good, "key": "../../../etc/passwd"}))
    written(json.dumps({**good, "key": "ffffffffff"}))
    written(json.dumps({**good, "format": 2}))
    written(text.replace("0.75", "1e999"))
    written(text, "not-a-run")
    written(text, "20261101T000000Z-1a2b3c4d extra")
    written(text, "\x1b[31mred")

    foreign = written(json.dumps({**good, "notebook": {"bytes": 1, "sha256": "0" * 64}}))
    (foreign / "toy.ipynb").write_text('{"cells": [{"cell_type": "code", "source": "import os"}]}')
    linked = written(text)
    (linked / "toy.ipynb").unlink()
    (linked / "toy.ipynb").symlink_to(outside / "notebook.ipynb")
    (folder() / "run.json").symlink_to(outside / "run.json")
    (folder() / "run.json").mkdir()
    locked = written(json.dumps({**good, "status": "running", "format": 3}))
    (locked / "lock").symlink_to(outside / "lock")
    folder()  # empty
    count += 2
    (project.runs / "toy" / "20261102T000000Z-1a2b3c4d").symlink_to(outside / "run")
    (project.runs / "toy" / "20261102T000001Z-1a2b3c4d").write_text("no folder")
    return count


def outside_of(project: Project) -> Path:
    """A folder beside the project's runs that looks like a run, and must never be read or changed."""
    outside = project.root / "outside"
    (outside / "run").mkdir(parents=True)
    for place in (outside, outside / "run"):
        (place / "run.json").write_text(json.dumps(whole_record(metrics=[{"name": "secret", "value": 4242424242}])))
        (place / "notebook.ipynb").write_text(json.dumps({**NOTEBOOK, "metadata": {"secret": 4242424242}}))
        (place / "lock").write_text("not empty")
    return outside
