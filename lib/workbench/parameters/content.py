"""Everything that `workbench` asks of `largemodels`: its modules, each imported when it is asked for, and data sets.

Every import of `largemodels` but that of a type stands inside a function, so that the command line starts without it.
"""

from __future__ import annotations

from types import ModuleType
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
    from largemodels.data import corpora, sources

    if name not in shipped_datasets():
        sources.prepare(name, progress)
    elif not all(map(corpora.is_cached, corpora.SHIPPED)):
        corpora.sentences(progress=progress)


COLUMN_OPTIONS = ("text_column", "label_column", "pair_column")
"""The parameters by which a chapter, and `workbench data`, name columns of a data set."""


def dataset_size(name: str) -> int:
    """How many bytes the files of a local data set have."""
    from largemodels.data import sources

    return sum(file.stat().st_size for file in sources.local_files(name))


def check_dataset(name: str, default: str, columns: dict[str, str]) -> None:
    """Refuse a local data set that cannot be loaded in the place of a shipped one, as what that is: text or a task.

    Raises:
        ValueError: a sentence that says what is wrong and what to do.
    """
    from largemodels.data import corpora, tasks

    if default in tasks.SHIPPED:
        tasks.check(name, **columns)
    elif default in corpora.SHIPPED:
        corpora.check(name)


def is_corpus(name: str) -> bool:
    """Whether a name is that of a shipped text without labels."""
    from largemodels.data import corpora

    return name in corpora.SHIPPED


def described_dataset(name: str, columns: dict[str, str], corpus: bool) -> dict[str, Any]:
    """What is taken from a data set, as text or as a task.

    That is its `description` (row to words), two `examples`, and `suggestions` of `-p` options for other columns.

    Raises:
        ValueError: a sentence for one that cannot be read, or whose columns are in doubt.
    """
    from largemodels.data import corpora, description, tasks

    if corpus:
        sentences = corpora.sentences(name)
        words = description.describe_corpus(sentences)
        examples, suggestions = [{"sentence": text} for text in sentences["sentence"].head(2)], []
    else:
        task = tasks.load(name, **columns)
        words, suggestions = task.description, description.suggestions(task.reading.columns, task.reading.others)
        some = task.frames["train"].head(2)
        texts = [column for column in ("text", "text_pair") if column in some]
        examples = [
            {column: row[column] for column in texts} | {"label": task.labels[row["label"]]}
            for row in some.to_dict("records")
        ]
    return {"name": str(name), "description": words, "examples": examples, "suggestions": suggestions}


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


def compressed_classifiers() -> ModuleType:
    """The module that loads classifiers which were kept with rounded weights."""
    from largemodels.compression import saving

    return saving


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
