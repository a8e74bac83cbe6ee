"""Where things are: the folders of the checkout."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.core.errors import RequestError

PREDICTIONS = "predictions.parquet"
"""The file of a recorded result that holds what models answered."""


class Project:
    """A checkout of the workbench, by its folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.notebooks = root / "notebooks"  # the chapters
        self.editions = root / "book" / "editions"  # a YAML file each
        self.recorded = root / "book" / "recorded"  # a folder for each recorded run or sweep
        self.build = root / "_build"  # everything that `workbench book` makes

    @property
    def runs(self) -> Path:
        """The runs, `CHAPTER/RUN_ID` each.

        The environment variable WORKBENCH_RUNS moves the folder, and so does a link in its place.
        """
        return Path(os.environ.get("WORKBENCH_RUNS") or self.root / "runs").absolute()

    def recorded_predictions(self) -> dict[str, Path]:
        """The files of predictions that recorded results have, by the result's name."""
        return {path.parent.name: path for path in sorted(self.recorded.glob(f"[!.]*/{PREDICTIONS}"))}

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
    raise RequestError(
        f"no workbench here: neither {start} nor a folder above it holds notebooks/ and _toc.yml;"
        " WORKBENCH_ROOT can name a folder that does"
    )
