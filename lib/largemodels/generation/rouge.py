"""ROUGE (Lin 2004): how many words, pairs of words, and words in order a summary shares with a reference.

Words are as the package `rouge_score` takes them without its stemmer: in lower case, runs of the letters a to z and of
digits. All else only separates, so that `numpy.linalg` is two words, and a letter with an accent ends one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd


class Rouge(NamedTuple):
    """What a candidate shares with a reference: of its own, of the reference's, and the harmonic mean of the two."""

    precision: float  #: the share of the candidate's n-grams, or words, that it shares with the reference
    recall: float  #: the share of the reference's
    f: float  #: their harmonic mean, 0 where they share nothing


def words(text: str) -> list[str]:
    """The words that are compared.

    Examples:
        >>> words("Return the 2-norm, as numpy.linalg.norm does.")
        ['return', 'the', '2', 'norm', 'as', 'numpy', 'linalg', 'norm', 'does']
    """
    return re.findall(r"[a-z0-9]+", text.lower())


def rouge_n(reference: str, candidate: str, n: int) -> Rouge:
    """ROUGE-n: the n-grams that the two texts share, each as often as both have it (Lin 2004, section 2).

    A text of fewer than n words has no n-gram and scores 0.

    Examples:
        >>> score = rouge_n("the cat sat on the mat", "the cat lay on the rug", 2)
        >>> print(f"{score.f:.1f}")
        0.4
    """
    if n < 1:
        raise ValueError(f"n: {n} is not at least 1")
    wanted, given = _ngrams(words(reference), n), _ngrams(words(candidate), n)
    return _scores((wanted & given).total(), wanted.total(), given.total())


def rouge_l(reference: str, candidate: str) -> Rouge:
    """ROUGE-L: the longest common subsequence of words, which may have gaps (Lin 2004, section 3, with β = 1).

    Examples:
        >>> score = rouge_l("police killed the gunman", "police kill the gunman")
        >>> print(f"{score.f:.2f}")
        0.75
    """
    wanted, given = words(reference), words(candidate)
    lengths = [0] * (len(given) + 1)  # of the longest subsequence with each beginning of the candidate
    for word in wanted:
        diagonal = 0  # what `lengths` held one place to the left, before this word of the reference
        for place, other in enumerate(given, 1):
            above = lengths[place]
            lengths[place] = diagonal + 1 if word == other else max(above, lengths[place - 1])
            diagonal = above
    return _scores(lengths[-1], len(wanted), len(given))


def rouge_table(references: Sequence[str], candidates: Sequence[str]) -> pd.DataFrame:
    """The F-measures of each pair of texts, a row each: rouge1, rouge2, rougeL.

    Raises:
        ValueError: for another number of candidates than of references.

    Examples:
        >>> rouge_table(["a sum of squares"], ["the sum of the squares"]).round(2).to_dict("records")
        [{'rouge1': 0.67, 'rouge2': 0.29, 'rougeL': 0.67}]
    """
    if len(references) != len(candidates):
        raise ValueError(f"candidates: {len(candidates)} do not pair with {len(references)} references")
    pairs = zip(references, candidates, strict=True)
    rows = [(rouge_n(*pair, 1).f, rouge_n(*pair, 2).f, rouge_l(*pair).f) for pair in pairs]
    return pd.DataFrame(rows, columns=["rouge1", "rouge2", "rougeL"], dtype=float)


def most_typical(texts: Sequence[str]) -> str:
    """The text whose mean ROUGE-L with all of them is largest, of equals the first: an answer for every question.

    What a system gains has to be measured from there, for an answer that knows nothing of its source scores too.

    Examples:
        >>> most_typical(["Draw a line.", "Return the sum of the array.", "Return the mean of the array."])
        'Return the sum of the array.'
    """
    means = [sum(rouge_l(text, other).f for other in texts) for text in texts]
    return texts[means.index(max(means))]


def _ngrams(found: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(found[start : start + n]) for start in range(len(found) - n + 1))


def _scores(shared: int, wanted: int, given: int) -> Rouge:
    if not shared:
        return Rouge(0.0, 0.0, 0.0)
    return Rouge(shared / given, shared / wanted, 2 * shared / (given + wanted))
