"""A task's training, validation and test split: missing ones are made, and what they share is counted.

What cannot be split, or not be learnt from, is an `InputError` that says what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from largemodels.base.errors import InputError, few
from largemodels.data.corpora import split_of
from largemodels.data.deduplication import resembling
from largemodels.data.sources import Part
from largemodels.data.texts import joined_texts

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Overlap:
    """How many rows of one split stand in another: word for word, and at all, that is at least nearly so."""

    split: str
    other: str
    same: int
    alike: int


def known_parts(parts: Sequence[Part], name: object) -> tuple[list[Part], list[str]]:
    """The parts that are learnt from and judged on, and the names of further splits, which are left out."""
    known = {part.split for part in parts} & set(SPLITS)
    if strays := [part.stem for part in parts if part.split is None and "train" in known]:
        raise InputError(f"{name}: {strays[0]} is no split beside train; name it validation or test, or take it out")
    further = [str(part.split) for part in parts if known and part.split not in (None, *known)]
    return [part for part in parts if part.split not in further], further


def check_splits(frames: dict[str, pd.DataFrame], labels: Sequence[str], name: object) -> None:
    """Refuse a split (its name is "" where the data name none) without rows, or with a label that cannot be learnt."""
    for split, frame in frames.items():
        if frame.empty:
            raise InputError(
                f"{name}: its {split} split holds no labelled row; fill it, or leave it out to have one made"
            )
    learnt = {place for split in ("", "train") if split in frames for place in frames[split]["label"]}
    for split, frame in frames.items():
        if learnt and (unseen := sorted(set(frame["label"]) - learnt)):
            raise InputError(
                f"{name}: {split} holds the label {labels[unseen[0]]}, which no training row has; take its "
                f"{int(frame['label'].isin(unseen).sum())} rows out, or give examples to learn it from"
            )


def complete_splits(frames: dict[str, pd.DataFrame], name: object) -> tuple[dict[str, pd.DataFrame], set[str]]:
    """The frames by the names of `SPLITS`, missing ones made out of the training rows, and the names of these."""
    import pandas as pd

    whole = [frames[split] for split in ("", "train") if split in frames]
    evaluation = {split: frames[split] for split in ("validation", "test") if split in frames}
    if not whole:
        raise InputError(
            f"{name}: there is no training split, only {' and '.join(frames)}; name one file to have it split"
        )
    training = pd.concat(whole, ignore_index=True)
    made = {"validation"} if set(evaluation) == {"test"} else set() if evaluation else {"validation", "test"}
    where = joined_texts(training, "\0").map(split_of)
    result = {"train": training[~where.isin(made)], **evaluation, **{split: training[where == split] for split in made}}
    if any(frame.empty for frame in result.values()):
        raise InputError(f"{name}: {len(training)} rows are too few for a split into training, validation and test")
    return {split: result[split].reset_index(drop=True) for split in SPLITS if split in result}, made


def origins(parts: Sequence[Part], frames: Iterable[str], made: set[str]) -> dict[str, str]:
    """Where each split comes from, in words: the files that it stands in, or a hash of the texts."""
    files = {split: [part.file or part.stem for part in parts if part.split == split] for split in SPLITS}
    files["train"] += [part.file or part.stem for part in parts if part.split not in SPLITS]
    whole = f"from {few(files['train'])}"
    words = dict.fromkeys(made, "drawn by a hash of the text")
    words |= {split: f"from {few(files[split])}" for split in frames if split not in made}
    return words | ({"train": f"{whole}, without those of the splits below"} if made else {})


def overlaps(frames: dict[str, pd.DataFrame]) -> tuple[tuple[Overlap, ...], dict[str, set[int]]]:
    """What each split shares with each later one, and by split the rows that stand in a later one.

    Examples:
        >>> import pandas as pd
        >>> train = pd.DataFrame({"text": ["the same text", "only here"]})
        >>> test = pd.DataFrame({"text": ["the same text"]})
        >>> overlaps({"train": train, "test": test})
        ((Overlap(split='train', other='test', same=1, alike=1),), {'train': {0}, 'test': set()})
    """
    counted, shared = [], {split: set() for split in frames}
    texts = {split: joined_texts(frame).tolist() for split, frame in frames.items()}
    for first, second in combinations(frames, 2):
        others = set(texts[second])
        same = [row for row, text in enumerate(texts[first]) if text in others]  # "?!" has no words to compare
        alike = {*same, *resembling(texts[first], texts[second])}
        shared[first] |= alike
        counted.append(Overlap(first, second, len(same), len(alike)))
    return tuple(counted), shared


def without_shared(
    frames: dict[str, pd.DataFrame], shared: dict[str, set[int]], labels: Sequence[str], name: object
) -> dict[str, pd.DataFrame]:
    """The frames without the rows that stand in a later split; each keeps some, and training some of each label."""
    kept = {split: frame.drop(index=list(shared[split])).reset_index(drop=True) for split, frame in frames.items()}
    for split, frame in kept.items():
        if frame.empty:
            raise InputError(
                f"{name}: every row of its {split} split resembles a row of a later split, so dropping them leaves "
                "none; load it without drop, or take other rows"
            )
    if gone := sorted(set(frames["train"]["label"]) - set(kept["train"]["label"])):
        raise InputError(
            f"{name}: every training row of the label {labels[gone[0]]} resembles a row of a later split, so dropping "
            "them leaves nothing to learn it from; load it without drop, or give other examples"
        )
    return kept
