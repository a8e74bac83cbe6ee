"""Two domains of one task: the texts of each that may be learnt from, with a label or without, and those that judge.

The remedies of `largemodels.domain_adaptation.remedies` take nothing else, so that none of them sees a label of the
target by accident.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from largemodels.base.errors import InputError, few
from largemodels.data import corpora, tasks
from largemodels.data.deduplication import resembling
from largemodels.data.texts import joined_texts
from largemodels.fine_tuning.trials import draw, fixed


@dataclass(frozen=True)
class Domain:
    """A task's examples in one domain."""

    name: str  #: of the domain, for people
    train: pd.DataFrame  #: text and label, with document where the data have it
    validation: pd.DataFrame  #: the same columns; settings are chosen by them, in the source alone
    test: pd.DataFrame  #: the same columns; results are about them
    labels: tuple[str, ...]  #: names of the classes
    #: sentence, document and library: all text of the domain that may be read without a label, which is that
    #: of the training examples or, for the documentation, every sentence of the training documents
    reading: pd.DataFrame
    held_out: pd.DataFrame  #: the same columns: text that nothing reads, of the validation examples or documents
    description: dict[str, str] = field(default_factory=dict)  #: what was taken, as `tasks.Task.description`


def load_domain(
    dataset: str, libraries: Sequence[str] = (), *, text_column: str | None = None, label_column: str | None = None
) -> Domain:
    """A domain from a data set, as for `tasks.load`; of `pydocs-sections`, from some of its libraries, or from all.

    Data whose test labels are secret are judged by their validation split, and settings are chosen by some of the
    training examples.

    Raises:
        InputError: for data that are no task.
    """
    shipped = dataset in tasks.SHIPPED
    task = tasks.load(
        dataset,
        text_column=None if shipped else text_column,
        label_column=None if shipped else label_column,
        library=list(libraries) if shipped and libraries else None,
    )
    train, test = task.frames["train"], task.frames[task.evaluation_split]
    validation = task.frames["validation"]
    if task.evaluation_split == "validation":
        validation = fixed(train, len(train) // 10)
        train = train.drop(index=validation.index)
    if shipped:
        reading, held_out = (corpus_text("pydocs", libraries, split) for split in ("train", "validation"))
        name = ", ".join(libraries) if libraries else "all libraries"
    else:
        reading, held_out = as_reading(train, dataset), as_reading(validation, dataset)
        name = str(dataset).rstrip("/").rpartition("/")[2]
    description = task.description | ({"libraries": ", ".join(libraries)} if shipped and libraries else {})
    return Domain(name, train, validation, test, task.labels, reading, held_out, description)


def corpus_text(corpus: str, libraries: Sequence[str] = (), split: str = "train") -> pd.DataFrame:
    """The sentences of a corpus that stand in one split: sentence, document and library; an `InputError` for none.

    Of `pydocs` those of some libraries, or of all.
    """
    everything = corpora.sentences(corpus)
    kept = everything["split"] == split
    if libraries and corpus in corpora.SHIPPED:
        kept &= everything["library"].isin(list(libraries))
    if not kept.any():
        raise InputError(f"{corpus}: it has no text to read")
    return everything.loc[kept, ["sentence", "document", "library"]].reset_index(drop=True)


def as_reading(examples: pd.DataFrame, library: str = "") -> pd.DataFrame:
    """The texts of examples as a corpus without labels, each text a document: sentence, document, library."""
    texts = joined_texts(examples).to_numpy()
    documents = [f"example {number}" for number in range(len(texts))]
    return pd.DataFrame({"sentence": texts, "document": documents, "library": library})


def with_labels_of(source: Domain, target: Domain) -> Domain:
    """The target with its classes numbered as the source's are.

    Raises:
        InputError: unless both have the same classes, and each has some training and some test examples of two.
    """
    if set(source.labels) != set(target.labels):
        raise InputError(
            f"target: its labels are {few(target.labels, 6)}, and the source's are {few(source.labels, 6)}; adaptation "
            "needs the same task in both"
        )
    for name, domain in (("source", source), ("target", target)):
        for split, frame in (("training", domain.train), ("test", domain.test)):
            if frame.empty:
                raise InputError(f"{name}: {domain.name} has no {split} examples")
            if frame["label"].nunique() < 2:
                only = domain.labels[frame["label"].iloc[0]]
                raise InputError(f"{name}: all {split} examples of {domain.name} are {only}; two classes are needed")
    places = {place: source.labels.index(label) for place, label in enumerate(target.labels)}
    frames = {
        split: getattr(target, split).assign(label=getattr(target, split)["label"].map(places))
        for split in ("train", "validation", "test")
    }
    return dataclasses.replace(target, **frames, labels=source.labels)


@dataclass(frozen=True)
class Draw:
    """The examples and texts that one seed learns from, and those that judge it."""

    labels: tuple[str, ...]  #: names of the classes
    labelled: pd.DataFrame  #: source examples to learn from
    validation: pd.DataFrame  #: source examples that settings are chosen by, the same for every seed
    unlabelled: pd.DataFrame  #: target texts without a label: `remedies` never asks for one
    few: pd.DataFrame  #: target examples with their labels, for the remedy that has some
    #: as many target examples with their labels as the source has, for the comparison that knows them
    ceiling: pd.DataFrame
    judged: pd.DataFrame  #: target examples that answers are counted on, the same for every seed
    target_text: pd.DataFrame  #: sentence, document and library of all text of the target that may be read
    task_text: pd.DataFrame  #: the same columns, of the texts of `labelled` and `unlabelled` alone
    control_text: pd.DataFrame  #: the same columns, of a domain that has nothing to do with the target
    held_text: pd.DataFrame  #: the same columns, of target text that nothing reads: reading is judged by it


def draw_pair(
    source: Domain,
    target: Domain,
    control_text: pd.DataFrame,
    *,
    labelled: int,
    unlabelled: int,
    few: int,
    judged: int,
    seed: int,
) -> Draw:
    """The draw of a seed; the target's test examples are in no other part.

    Args:
        source: the domain that has labels.
        target: the other, with the source's classes, see `with_labels_of`.
        control_text: sentence, document and library.
        labelled: source examples, at least two classes of them.
        unlabelled: target texts.
        few: target labels.
        judged: test examples of the target, and validation examples of the source.
        seed: of the draw.
    """
    learnt, texts = draw(source.train, labelled, seed), _sample(target.train, unlabelled, seed)
    return Draw(
        labels=source.labels,
        labelled=learnt,
        validation=fixed(source.validation, judged),
        unlabelled=texts.drop(columns="label"),
        few=_sample(target.train, few, seed),
        ceiling=_sample(target.train, labelled, seed),
        judged=fixed(target.test, judged),
        target_text=target.reading,
        task_text=as_reading(pd.concat([learnt, texts])),
        control_text=control_text,
        held_text=target.held_out,
    )


def _sample(examples: pd.DataFrame, number: int, seed: int) -> pd.DataFrame:
    return examples.sample(min(number, len(examples)), random_state=seed)


def leaked(source: Domain, judged: pd.DataFrame) -> pd.Series:
    """Whether each of the target's test examples resembles an example of the source, of any split: bool, by row.

    Such an example measures memory (`deduplication.resembling`); a pair of domains that shares its texts is no pair.
    """
    everything = pd.concat([source.train, source.validation, source.test])
    places = resembling(list(joined_texts(judged)), list(joined_texts(everything)))
    return pd.Series(np.isin(np.arange(len(judged)), places), index=judged.index)
