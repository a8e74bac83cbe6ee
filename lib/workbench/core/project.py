"""Where things are: the folders of the checkout."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import RequestError

PREDICTIONS = "predictions.parquet"
"""The file of a recorded result that holds what models answered."""


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
