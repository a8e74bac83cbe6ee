"""Everything that `workbench` asks of `largemodels`: data sets, models, predictions, intervals, the style of figures.

Every import of `largemodels` but that of a type stands inside a function, so that the command line starts without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from largemodels.base.cache import Progress


def shipped_datasets() -> tuple[str, ...]:
    """The names of the data sets that need no file and no download."""
    from largemodels.data import corpora, tasks

    return (*corpora.SHIPPED, *tasks.SHIPPED)


def is_hub_dataset(name: str) -> bool:
    """Whether a name has the form of a data set's id on the Hub, and no file or folder here has it."""
    from largemodels.data import sources

    return sources.hub_id(name) is not None


def dataset_fingerprint(name: str) -> str:
    """The digest of a shipped or local data set, without reading a shipped one's text; for the Hub `id@commit`."""
    from largemodels.data import corpora, tasks

    return (tasks if name in tasks.SHIPPED else corpora).fingerprint(name)


def prepare_dataset(name: str, progress: Progress) -> None:
    """Build a shipped data set's cache, or download one of the Hub, so that no chapter waits for it in silence."""
    from largemodels.data import corpora, sources, tasks

    if name in corpora.SHIPPED or name in tasks.SHIPPED:
        if not all(map(corpora.is_cached, corpora.SHIPPED)):
            corpora.sentences(progress=progress)
    else:
        sources.prepare(name, progress)


def shipped_models() -> tuple[str, ...]:
    """The names of the models that need no download."""
    from largemodels.models import checkpoints

    return checkpoints.shipped()


def check_model(name: str) -> None:
    """Refuse, with a sentence, a name that can be no model by what its form and this machine's disk show."""
    from largemodels.models import checkpoints

    checkpoints.check_name(name)


def is_hub_model(name: str) -> bool:
    """Whether a name has the form of a model's id on the Hub, and no file or folder here has it."""
    from largemodels.models import checkpoints

    return checkpoints.hub_id(name) is not None


def model_fingerprint(name: str) -> str:
    """The digest of a shipped model's or a folder's files; for the Hub `id@commit`."""
    from largemodels.models import checkpoints

    return checkpoints.fingerprint(name)


def prepare_model(name: str, progress: Progress) -> None:
    """Download a model of the Hub, so that no chapter waits for it in silence."""
    from largemodels.models import checkpoints

    checkpoints.resolve(name, progress=progress)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of two or more values and the ends of its 95% interval."""
    from largemodels.statistics import intervals

    return intervals.mean_interval(values)


def use_figure_style() -> None:
    """Set Matplotlib's defaults to the book's."""
    from largemodels.figures import style

    style.use_style()


def proportion_interval(count: float, n: float) -> tuple[float, float, float]:
    """The proportion `count / n` and the ends of its 95% interval."""
    from largemodels.statistics import intervals

    return intervals.proportion_interval(count, n)


def read_predictions(file: Path) -> Any:
    """What models answered, as a data frame; a ValueError says in a sentence why a file holds nothing of the kind."""
    from largemodels.data import predictions

    return predictions.read_predictions(file)


def paired(first: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Each model of other runs beside its counterpart in the first run, from their tables of predictions by file."""
    from largemodels.statistics import paired_runs

    return paired_runs.compare_runs(first, others)


def predictions_to_keep(table: Any) -> Any:
    """A table of predictions with the columns of its format alone, small enough to be kept with the book."""
    from largemodels.data import predictions

    return predictions.without_more(table)


def cache_folder() -> Path:
    """Where shipped data sets are kept once they are built."""
    from largemodels.data import corpora

    return corpora.cache_folder()
