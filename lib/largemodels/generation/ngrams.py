"""A language model that counts: n-grams with Kneser–Ney smoothing, the baseline of every network that predicts tokens.

Counting (`count_ngrams`) takes a second or two for two million tokens and serves models of every order; a model
(`KneserNey`) is then a few divisions. Both keep to arrays: an n-gram is the number of what its last token follows, and
that token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from largemodels.base.errors import InputError
from largemodels.models.batches import TokenSequences

FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])
"""Discounts where the counts of counts give none, as in a text of a few words."""


@dataclass(frozen=True)
class Ngrams:
    """The distinct n-grams of one length in a text; one is known by its place in these arrays.

    Attributes:
        keys: the place of the first n − 1 tokens among the shorter n-grams, times the vocabulary, plus the last token;
            ascending, `(ngrams,)`.
        counts: how often each stands in the text, `(ngrams,)`.
        suffixes: the place of the last n − 1 tokens among the shorter n-grams, `(ngrams,)`.
    """

    keys: np.ndarray
    counts: np.ndarray
    suffixes: np.ndarray

    def places(self, keys: np.ndarray) -> np.ndarray:
        """The place of each key, −1 where the text has no such n-gram; a key below 0 is none."""
        places = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places, -1)


def count_ngrams(windows: TokenSequences, order: int, vocabulary_size: int) -> list[Ngrams]:
    """The n-grams of 1, 2, … `order` tokens within the documents of a text.

    The first token of a document, its end-of-text, is never predicted, and so no n-gram of one token; it begins longer
    ones. The windows are those of `token_windows`, and put together again.

    Raises:
        InputError: for an order below 1.
        ValueError: for no windows, or tokens outside the vocabulary.

    Examples:
        >>> import numpy as np
        >>> windows = TokenSequences([np.array([0, 1, 2, 1, 2, 0])], ["a"], ["a"])
        >>> single, double = count_ngrams(windows, 2, vocabulary_size=3)
        >>> single.counts
        array([1, 2, 2])
        >>> double.keys.tolist(), double.counts.tolist()  # 0 1, 1 2, 2 0, 2 1
        ([1, 5, 6, 7], [1, 2, 1, 1])
    """
    if order < 1:
        raise InputError(f"order: {order} is not at least 1, the tokens one by one")
    tokens, behind = _documents(windows, vocabulary_size)  # (tokens,) each
    every = np.arange(vocabulary_size)
    counted = [Ngrams(every, np.bincount(tokens[behind > 0], minlength=vocabulary_size), np.zeros_like(every))]
    ending = tokens  # the place of the n-gram that ends at each token
    for length in range(2, order + 1):
        whole = np.flatnonzero(behind >= length - 1)
        keys, numbers = np.unique(ending[whole - 1] * vocabulary_size + tokens[whole], return_inverse=True)
        suffixes = np.empty_like(keys)
        suffixes[numbers] = ending[whole]
        counted.append(Ngrams(keys, np.bincount(numbers, minlength=len(keys)), suffixes))
        ending = np.full(len(tokens), -1)
        ending[whole] = numbers
    return counted


class KneserNey:
    """An interpolated n-gram model with Kneser–Ney smoothing (Kneser and Ney 1995; Chen and Goodman 1999).

    Each count is discounted, and what that frees is shared out by the shorter n-gram, whose own count is that of the
    tokens *before* it: "Francisco" is frequent and yet follows "San" alone, so it is unlikely after anything else. An
    n-gram that begins a document has nothing before it and keeps its count. A context that was never seen leaves all
    to the shorter one, and the shortest to the uniform distribution.

    Args:
        counted: of `count_ngrams`, at least as long as the order.
        order: tokens in an n-gram: 5 looks at four tokens to predict one, 1 at none, and 0 is uniform.
        modified: three discounts, for counts of 1, 2 and more, as Chen and Goodman have them, in place of a single one.

    Raises:
        InputError: for an order below 0, or above what was counted.

    Examples:
        >>> import numpy as np
        >>> windows = TokenSequences([np.array([0, 1, 2, 1, 2, 0])], ["a"], ["a"])
        >>> model = KneserNey(count_ngrams(windows, 2, vocabulary_size=3), 2)
        >>> model.probabilities([0, 1]).round(3)
        array([0.146, 0.208, 0.646])
    """

    def __init__(self, counted: Sequence[Ngrams], order: int, *, modified: bool = True) -> None:
        if not 0 <= order <= len(counted):
            raise InputError(f"order: {order} is not between 0 and {len(counted)}, the longest n-grams counted")
        self.order, self.vocabulary_size = order, len(counted[0].keys)
        self.ngrams = counted[:order]
        self.discounts: list[np.ndarray] = []  # for counts of 0, 1, 2, and 3 or more: (4,) each
        self._seen: list[np.ndarray] = []  # what an n-gram's discounted count gives its last token: (ngrams,) each
        self._left: list[np.ndarray] = []  # the share that a context leaves to the shorter n-grams: (contexts,) each
        contexts = 1
        for length, ngrams in enumerate(self.ngrams, start=1):
            counts = ngrams.counts if length == order else continuation_counts(ngrams, counted[length])
            context = ngrams.keys // self.vocabulary_size  # (ngrams,)
            total = np.bincount(context, counts, minlength=contexts)
            discounts = count_discounts(counts, modified=modified)
            taken = discounts[counts.clip(max=3)]  # (ngrams,)
            freed = np.bincount(context, taken, minlength=contexts)
            self.discounts.append(discounts)
            self._seen.append((counts - taken) / total.clip(min=1)[context])
            self._left.append(np.where(total > 0, freed / total.clip(min=1), 1.0))
            contexts = len(ngrams.keys)

    def token_losses(self, windows: TokenSequences) -> pd.DataFrame:
        """One row for each predicted token, in the order of the windows: document, library, token_id and loss.

        They are the tokens of `largemodels.generation.language_model.token_losses`, row by row. The loss is −log p of
        the token given the `order` − 1 before it in its document, in nats.
        """
        tokens, behind = _documents(windows, self.vocabulary_size)
        p = np.full(len(tokens), 1 / self.vocabulary_size)
        context = np.zeros(len(tokens), dtype=int)  # the place of what stands before each token; −1 for a new one
        for length, ngrams in enumerate(self.ngrams, start=1):
            ending = ngrams.places(context * self.vocabulary_size + tokens)
            seen = np.where(ending >= 0, self._seen[length - 1][ending], 0)
            p = seen + np.where(context >= 0, self._left[length - 1][context], 1) * p
            context = np.where(behind >= length, np.roll(ending, 1), -1)
        asked = behind > 0
        sizes = windows.lengths - 1
        return pd.DataFrame(
            {
                "document": np.repeat(np.array(windows.documents, dtype=object), sizes),
                "library": np.repeat(np.array(windows.libraries, dtype=object), sizes),
                "token_id": tokens[asked],
                "loss": -np.log(p[asked]),
            }
        )

    def probabilities(self, context: Sequence[int]) -> np.ndarray:
        """The probability of each token after some others, `(vocabulary,)`; at the beginning, after the end-of-text."""
        p = np.full(self.vocabulary_size, 1 / self.vocabulary_size)
        for length, ngrams in enumerate(self.ngrams, start=1):
            if length - 1 > len(context):
                break
            place = self._place(list(context)[len(context) - length + 1 :])
            if place < 0:
                break
            start, stop = np.searchsorted(
                ngrams.keys, [place * self.vocabulary_size, (place + 1) * self.vocabulary_size]
            )
            p = self._left[length - 1][place] * p
            p[ngrams.keys[start:stop] % self.vocabulary_size] += self._seen[length - 1][start:stop]
        return p

    def _place(self, tokens: Sequence[int]) -> int:
        """The place of an n-gram; 0 for none of it, and −1 for one that the text does not have."""
        place = 0
        for ngrams, token in zip(self.ngrams, tokens, strict=False):  # no longer than the n-grams are
            place = int(ngrams.places(np.array([place * self.vocabulary_size + token]))[0]) if place >= 0 else -1
        return place


def continuation_counts(ngrams: Ngrams, longer: Ngrams) -> np.ndarray:
    """How many different tokens stand before each n-gram, `(ngrams,)`; its count, if it only begins documents.

    Examples:
        >>> import numpy as np
        >>> san, francisco, in_, new = 1, 2, 3, 4
        >>> text = [0, in_, san, francisco, san, francisco, san, francisco, new, in_, new, 0]
        >>> single, double = count_ngrams(TokenSequences([np.array(text)], ["a"], ["a"]), 2, vocabulary_size=5)
        >>> int(single.counts[francisco]), int(continuation_counts(single, double)[francisco])
        (3, 1)
    """
    before = np.bincount(longer.suffixes, minlength=len(ngrams.keys))
    return np.where(before > 0, before, ngrams.counts)


def count_discounts(counts: np.ndarray, *, modified: bool = True) -> np.ndarray:
    """What is taken from a count of 0, 1, 2, and 3 or more, `(4,)`, estimated from how many n-grams have which count.

    With n₁ … n₄ n-grams of count 1 … 4 and Y = n₁ / (n₁ + 2 n₂), a count of c < 3 loses c − (c + 1) Y n_{c+1} / n_c,
    and a larger one 3 − 4 Y n₄ / n₃ (Chen and Goodman 1999, section 4.1.6); unmodified, each loses Y (Ney et al. 1994).
    """
    of = np.bincount(counts, minlength=5)[:5].astype(float)
    if not modified:
        y = of[1] / (of[1] + 2 * of[2]) if of[1] else 0.5
        return np.array([0.0, y, y, y])
    if not of[1:4].all():
        return FALLBACK
    y = of[1] / (of[1] + 2 * of[2])
    discounts = np.array([0.0, *(c - (c + 1) * y * of[c + 1] / of[c] for c in (1, 2, 3))])
    return discounts if (discounts[1:] > 0).all() else FALLBACK


def _documents(windows: TokenSequences, vocabulary_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of all documents in a row, and how many of its document stand before each, `(tokens,)` each."""
    if not len(windows):
        raise ValueError("windows: there are none")
    names = windows.documents
    new = np.array([place == 0 or names[place] != names[place - 1] for place in range(len(names))])
    tokens = np.concatenate([ids if begins else ids[1:] for ids, begins in zip(windows.input_ids, new, strict=True)])
    if tokens.min() < 0 or tokens.max() >= vocabulary_size:
        raise ValueError(f"windows: tokens from {tokens.min()} to {tokens.max()} are not below {vocabulary_size}")
    added = windows.lengths - ~new  # tokens that each window adds
    begins = np.maximum.accumulate(np.where(new, np.cumsum(added) - added, 0))  # of each window's document
    return tokens, np.arange(len(tokens)) - np.repeat(begins, added)
