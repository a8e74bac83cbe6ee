"""Where things are: the checkout's folders, and the one error that means "this request cannot be met"."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PREDICTIONS = "predictions.parquet"
"""The file of a recorded result that holds what models answered."""


class Refusal(Exception):
    """Something that a command says in plain sentences, one for each mistake, before it ends."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = sentences


class RequestError(Refusal):
    """A request that is refused before anything starts. The exit code is 2."""


class RunError(Refusal):
    """A request that was in order and could not be carried out. The exit code is 1."""


@dataclass(frozen=True)
class Project:
    """A checkout of the workbench, by its folders."""

    root: Path

    @property
    def notebooks(self) -> Path:
        """The chapters."""
        return self.root / "notebooks"

    @property
    def runs(self) -> Path:
        """The runs, `CHAPTER/RUN_ID` each; the environment variable WORKBENCH_RUNS moves the folder."""
        return Path(os.environ.get("WORKBENCH_RUNS") or self.root / "runs").absolute()

    @property
    def editions(self) -> Path:
        """The editions of the book."""
        return self.root / "book" / "editions"

    @property
    def recorded(self) -> Path:
        """The recorded runs, a folder each."""
        return self.root / "book" / "recorded"

    def recorded_predictions(self) -> dict[str, Path]:
        """The files of predictions that recorded results have, by the result's name."""
        return {path.parent.name: path for path in sorted(self.recorded.glob(f"*/{PREDICTIONS}"))}

    @property
    def build(self) -> Path:
        """Everything that `workbench book` makes."""
        return self.root / "_build"

    def chapters(self) -> list[str]:
        """The names of all chapters, sorted."""
        return sorted(path.stem for path in self.notebooks.glob("*.ipynb"))


def find_project(*places: Path) -> Project:
    """The checkout that WORKBENCH_ROOT names, or else the one that holds the first of these places to be in any.

    Without a place, that is the current directory.

    Raises:
        RequestError: outside a checkout.
    """
    named = os.environ.get("WORKBENCH_ROOT")
    places = (Path(named),) if named else places or (Path.cwd(),)
    for place in map(Path.absolute, places):
        for folder in (place, *place.parents):
            if (folder / "notebooks").is_dir() and (folder / "_toc.yml").is_file():
                return Project(folder)
    start = places[0].absolute()
    raise RequestError(f"no workbench here: neither {start} nor a folder above it holds notebooks/ and _toc.yml")


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part.

    With `durable` that holds after a power cut too, for the price of waiting for the disk.
    """
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` where a known name is near, otherwise nothing."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def nearest_or_all(name: str, known: Iterable[str]) -> str:
    """The nearest known name, or else all of them."""
    known = list(known)
    return nearest(name, known) or (f"; there is {', '.join(known)}" if known else "")


@contextlib.contextmanager
def sentences_of(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of these kinds into a refused request."""
    try:
        yield
    except kinds as error:
        raise RequestError(str(error)) from None
