"""Everything that `workbench` asks of `largemodels`: its modules, each imported when it is asked for, and data sets.

Every import of `largemodels` but that of a type stands inside a function, so that the command line starts without it.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

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
    from largemodels.data import corpora, sources

    if name not in shipped_datasets():
        sources.prepare(name, progress)
    elif not all(map(corpora.is_cached, corpora.SHIPPED)):
        corpora.sentences(progress=progress)


def corpora() -> ModuleType:
    """The shipped texts, and where they are kept once they are built."""
    from largemodels.data import corpora

    return corpora


def checkpoints() -> ModuleType:
    """Models by name: shipped ones, folders, and those of the Hub."""
    from largemodels.models import checkpoints

    return checkpoints


def model_description() -> ModuleType:
    """What is taken of a model, in words; PyTorch is imported with it."""
    from largemodels.models import description

    return description


def is_here(name: str) -> bool:
    """Whether a file or folder has this name."""
    from largemodels.base import files

    return files.is_here(name)


def data_suffixes() -> tuple[str, ...]:
    """What the names of files of data end in."""
    from largemodels.data import tables

    return tables.SUFFIXES


def unlabelled() -> ModuleType:
    """Texts to be classified, read from files."""
    from largemodels.data import unlabelled

    return unlabelled


def saved_classifiers() -> ModuleType:
    """Classifiers that runs have kept."""
    from largemodels.fine_tuning import saved

    return saved


def reports() -> ModuleType:
    """Models judged by what they answered."""
    from largemodels.evaluation import report

    return report


def pairs() -> ModuleType:
    """Predictions made ready to be judged."""
    from largemodels.evaluation import pairs

    return pairs


def predictions() -> ModuleType:
    """What models answered, example by example: the format of its files."""
    from largemodels.data import predictions

    return predictions


def intervals() -> ModuleType:
    """Values with their 95% intervals."""
    from largemodels.statistics import intervals

    return intervals


def paired_runs() -> ModuleType:
    """Models of several runs compared example by example."""
    from largemodels.statistics import paired_runs

    return paired_runs


def figure_style() -> ModuleType:
    """Matplotlib's defaults in this book."""
    from largemodels.figures import style

    return style
