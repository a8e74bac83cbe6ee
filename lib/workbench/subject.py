"""The one door from the press to the subject: what `workbench` cannot know itself about data.

Every import of `largemodels` stands inside a function, so that the command line starts without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

Progress = Callable[[int, int, str], None]
"""Called with the steps done, the steps in all, and what is going on."""


def shipped_datasets() -> tuple[str, ...]:
    """The names of the data sets that need no file and no download."""
    from largemodels import corpora

    return corpora.SHIPPED


def dataset_fingerprint(name: str) -> str:
    """The digest of a shipped data set or a local file or folder, without reading a shipped one's text."""
    from largemodels import corpora

    return corpora.fingerprint(name)


def prepare_dataset(name: str, progress: Progress) -> None:
    """Build a shipped data set's cache where it is missing, so that no chapter waits for it in silence."""
    from largemodels import corpora

    corpora.sentences(name, progress=progress)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of two or more values and the ends of its 95% interval."""
    from largemodels import intervals

    return intervals.mean_interval(values)


def use_figure_style() -> None:
    """Set Matplotlib's defaults to the book's."""
    from largemodels import plots

    plots.use_style()


def proportion_interval(count: float, n: float) -> tuple[float, float, float]:
    """The proportion `count / n` and the ends of its 95% interval."""
    from largemodels import intervals

    return intervals.proportion_interval(count, n)


def cache_folder() -> Path:
    """Where shipped data sets are kept once they are built."""
    from largemodels import corpora

    return corpora.cache_folder()


def is_cached(name: str) -> bool:
    """Whether a shipped data set is in the cache as the installed packages and the present code make it."""
    from largemodels import corpora

    return corpora.is_cached(name)
