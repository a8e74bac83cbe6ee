"""Leaks planted on purpose: what a test measures when some of its sentences stood in the training data.

`largemodels.data.deduplication` finds look-alikes, and `largemodels.data.tasks` counts them between the splits of any
task.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from largemodels.data.deduplication import resembling
from largemodels.data.texts import WORDS, words

LONG_ENOUGH = 10  # distinct words: a text with one of them changed still resembles itself, 9 of 11 are in common

SST2_IN_REVIEWS = {"same": 382, "same_characters": 686, "alike": 729}
"""The `copies` of SST-2's 872 validation sentences among the film reviews (Pang and Lee 2005) that it was cut from."""
_NEITHER_LETTER_NOR_DIGIT = re.compile(r"[\W_]+")


def copies(test: Sequence[str], training: Sequence[str]) -> dict[str, int]:
    """How many test texts stand in the training texts, by three ways to say what standing there means.

    `same`: the same string. `same_characters`: the same letters and digits in the same order, whatever the case, the
    spaces and the punctuation, which tokenisers change. `alike`: four fifths of all words in common
    (`data.deduplication`).

    Examples:
        >>> copies(["a b c, d", "A B C D", "x"], ["a b c, d"])
        {'same': 1, 'same_characters': 2, 'alike': 2}
    """

    def characters(text: str) -> str:
        return _NEITHER_LETTER_NOR_DIGIT.sub("", text.casefold())

    strings, reduced = set(training), {characters(text) for text in training}
    return {
        "same": sum(text in strings for text in test),
        "same_characters": sum(characters(text) in reduced for text in test),
        "alike": len(resembling(test, training)),
    }


def with_planted(
    training: pd.DataFrame, test: pd.DataFrame, number: int, *, seed: int = 0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Training examples with `number` test examples planted among them, and whether each was planted: bool, `(test,)`.

    Every other one is planted word for word; the rest have one word changed to a word of another test text. They
    keep their labels, as a leak does.

    Both tables have text and label. Only texts with `LONG_ENOUGH` distinct words are planted.

    Raises:
        ValueError: if the test examples have not so many texts that are long enough.
    """
    random = np.random.default_rng(seed)
    (long,) = np.nonzero(test["text"].map(lambda text: len(set(words(text))) >= LONG_ENOUGH).to_numpy())
    if number > len(long):
        raise ValueError(f"number: {number} is more than the {len(long)} test texts of {LONG_ENOUGH} words or more")
    chosen = random.choice(long, number, replace=False)
    copies = test.iloc[chosen][["text", "label"]].copy()
    others = np.unique([word for text in test["text"] for word in words(text)])
    texts = copies["text"].tolist()
    texts[1::2] = [_with_another_word(text, others, random) for text in texts[1::2]]
    copies["text"] = texts
    planted = pd.concat([training[["text", "label"]], copies]).sample(frac=1, random_state=int(random.integers(2**32)))
    where = np.zeros(len(test), dtype=bool)
    where[chosen] = True
    return planted.reset_index(drop=True), where


def _with_another_word(text: str, others: np.ndarray, random: np.random.Generator) -> str:
    """The text with one of its words replaced by a word that it does not have."""
    places, present = list(WORDS.finditer(text)), set(words(text))
    place = places[random.integers(len(places))]
    new = next(word for word in random.permutation(others) if word not in present)
    return text[: place.start()] + new + text[place.end() :]
