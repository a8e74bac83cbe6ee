"""What the bench lays out for commands to stumble over: forged runs, and requests that nobody means well."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from made_runs import NOTEBOOK, places_in, replaced, whole_record
from workbench.core.project import Project

if TYPE_CHECKING:
    from bench import Try

OUTSIDE_NUMBER = b"4242424242"
"""It stands in every file outside of the project, and must never come to stand in one inside."""


def make_outside(folder: Path) -> None:
    """A folder beside a project that looks like a run."""
    (folder / "sweeps").mkdir(parents=True)
    record = whole_record(metrics=[{"name": "outside", "value": int(OUTSIDE_NUMBER)}])
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "toy.ipynb").write_text(json.dumps({**NOTEBOOK, "metadata": {"outside": int(OUTSIDE_NUMBER)}}))
    (folder / "lock").write_bytes(OUTSIDE_NUMBER)


def _folder(project: Project, source: random.Random) -> Path:
    """A new folder with the name of a run, which is sometimes the newest one of the default's key."""
    real = next((path.name[17:25] for path in project.runs.glob("toy/2*")), "1a2b3c4d")
    key = source.choice([real, "1a2b3c4d"])
    path = project.runs / "toy" / f"{source.choice([2025, 2031])}1101T{source.randrange(10**6):06d}Z-{key}"
    path.mkdir(parents=True)
    return path


def _written(project: Project, source: random.Random, content: bytes) -> Path:
    path = _folder(project, source)
    (path / "run.json").write_bytes(content)
    (path / "toy.ipynb").write_text(json.dumps(NOTEBOOK))
    return path


def _good(path: Path) -> dict[str, Any]:
    return whole_record(key=f"{path.name[17:25]}00")


def _truncated(project: Project, outside: Path, source: random.Random) -> list[Path]:
    text = json.dumps(whole_record()).encode()
    return [_written(project, source, text[: source.randrange(len(text))])]


def _other_types(project: Project, outside: Path, source: random.Random) -> list[Path]:
    good = whole_record()
    place = source.choice(list(places_in(good)))
    value = source.choice([None, [], {}, "text", -1, 10**400, True, ["nested"] * 5, "\x1b[2J"])
    return [_written(project, source, json.dumps(replaced(good, place, value)).encode())]


def _nested(project: Project, outside: Path, source: random.Random) -> list[Path]:
    return [_written(project, source, source.choice([b"[" * 100_000, b'{"key":' * 100_000, b"\xff\xfe", b"\0" * 99]))]


def _sparse(project: Project, outside: Path, source: random.Random) -> list[Path]:
    """A completed run whose notebook, or record, takes three gigabytes and no room on the disk."""
    path = _folder(project, source)
    size = 3 * 2**30
    record = _good(path) | {"notebook": {"bytes": size, "sha256": "0" * 64}}
    (path / "run.json").write_text(json.dumps(record))
    for name in ("toy.ipynb", *(["run.json"] if source.random() < 0.3 else [])):
        with (path / name).open("ab") as file:
            file.truncate(size)
    return [path]


def _links(project: Project, outside: Path, source: random.Random) -> list[Path]:
    name = source.choice(["run.json", "toy.ipynb", "lock"])
    path = _folder(project, source)
    (path / "run.json").write_text(json.dumps(_good(path) | {"status": source.choice(["running", "completed"])}))
    (path / name).unlink(missing_ok=True)
    (path / name).symlink_to(outside / name)
    whole = path.with_name(f"20251102T{source.randrange(10**6):06d}Z-1a2b3c4d")
    whole.symlink_to(outside)
    return [path, whole]


def _pipes(project: Project, outside: Path, source: random.Random) -> list[Path]:
    path = _folder(project, source)
    (path / "run.json").write_text(json.dumps(_good(path)))
    name = path / source.choice(["run.json", "toy.ipynb", "lock"])
    name.unlink(missing_ok=True)
    os.mkfifo(name)
    return [path]


def _other_chapters(project: Project, outside: Path, source: random.Random) -> list[Path]:
    chapter = source.choice(["../toy", "/etc", "other", "\x1b[2J", "toy/../../x"])
    return [_written(project, source, json.dumps({**whole_record(), "chapter": chapter}).encode())]


def _odd_names(project: Project, outside: Path, source: random.Random) -> list[Path]:
    path = project.runs / "toy" / source.choice(["not-a-run", "\x1b[31mred", "20261101T000000Z-1a2b3c4d extra"])
    path.mkdir()
    (path / "run.json").write_text(json.dumps(whole_record()))
    return [path]


FORGERIES: dict[str, Callable[[Project, Path, random.Random], list[Path]]] = {
    "truncated": _truncated,
    "other types": _other_types,
    "nested": _nested,
    "sparse": _sparse,
    "links": _links,
    "pipes": _pipes,
    "other chapters": _other_chapters,
    "odd names": _odd_names,
}

Arguments = tuple[Sequence[str], Sequence[int]]


def _file(each: Try, text: str, name: str = "values.yml") -> str:
    path = each.folder / name
    path.write_text(text)
    return str(path)


def _pipe(each: Try, name: str) -> str:
    path = each.folder / name
    os.mkfifo(path)
    return str(path)


def _aliases(each: Try) -> Arguments:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 9)]
    return ("run", "toy", "-f", _file(each, "\n".join([*lines, "name: *a8"]))), (2,)


def _secret(each: Try) -> Arguments:
    _, value, secret = each.random.choice(each.secrets)
    given = each.random.choice([value, secret, f"of {secret}"])
    option, line = each.random.choice([("-p", "run"), ("-p", "sweep"), ("-g", "sweep")])
    rest = () if option == "-g" or line == "run" else ("-g", "size=1,2")
    return (line, "toy", option, f"name={given}", *rest), (2,)


HOSTILE_ARGUMENTS: dict[str, Callable[[Try], Arguments]] = {
    "a pipe of values": lambda each: (("run", "toy", "-f", _pipe(each, "values.yml")), (2,)),
    "aliases": _aliases,
    "brackets": lambda each: (("run", "toy", "-f", _file(each, "name: " + "[" * 3000 + "]" * 3000)), (2,)),
    "bytes": lambda each: (("run", "toy", "-p", "name=\udcff"), (2,)),
    "infinity": lambda each: (("run", "toy", "-p", f"rate={each.random.choice(['inf', 'nan', '1e400'])}"), (2,)),
    "20 MB": lambda each: (("run", "toy", "-f", _file(each, f"name: {'x' * 20_000_000}")), (2,)),
    "a number with an underscore": lambda each: (("run", "toy", "-p", "size=1_0"), (2,)),
    "400 digits": lambda each: (("run", "toy", "-p", f"size={'9' * 400}"), (2,)),
    "no limit": lambda each: (("run", "toy", "--cell-limit", each.random.choice(["inf", "nan", "1e300"])), (2,)),
    "a long time ago": lambda each: (
        ("rm", "--older-than", each.random.choice(["1e300", "inf", "nan"]), "--yes"),
        (2,),
    ),
    "a secret": _secret,
    "a name of the tree": lambda each: (("run", each.random.choice(["../toy", "/etc/passwd", "toy/../toy"])), (2,)),
    "a name of a record": lambda each: (("record", "latest", each.random.choice(["../x", "/x", ".", "x/y"])), (2,)),
    "a table as a link": lambda each: (("show", each.random.choice(["../../outside", "/", ".."])), (2,)),
}
