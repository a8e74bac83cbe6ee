"""Word vectors by counting: neighbours of each word, weighed by PPMI and compressed by an SVD.

No network and no training: a few seconds on one core. Levy and Goldberg (2014) showed that skip-gram with
negative sampling implicitly factorises much the same matrix.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, in order; digits and punctuation separate words and are left out.

    Examples:
        >>> words_of("The 2 gradients don't vanish.")
        ['the', 'gradients', "don't", 'vanish']
    """
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class WordVectors:
    """Two vectors for each word, whose dot products approximate the PPMI matrix: word · context ≈ association.

    Attributes:
        words: the vocabulary, the most frequent first.
        counts: `(words,)`, the occurrences of each word.
        vectors: `(words, size)`, a word as the centre of its window.
        contexts: `(words, size)`, a word as a neighbour of others.
    """

    words: tuple[str, ...]
    counts: np.ndarray
    vectors: np.ndarray
    contexts: np.ndarray

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of each word."""
        return {word: row for row, word in enumerate(self.words)}

    @cached_property
    def directions(self) -> np.ndarray:
        """The vectors at length one, `(words, size)`: their dot products are cosines."""
        return unit_length(self.vectors)

    def look_up(self, words: Sequence[str], table: np.ndarray | None = None) -> np.ndarray:
        """The rows of some words in a table (`vectors` if not given), zeros for unknown ones: `(len(words), size)`."""
        table = self.vectors if table is None else table
        rows = np.array([self.index.get(word, -1) for word in words], dtype=int)
        return np.where(rows[:, None] >= 0, table[rows], 0.0)

    def nearest(self, vector: np.ndarray, n: int = 5, *, leave_out: Iterable[str] = ()) -> list[tuple[str, float]]:
        """The `n` words of highest cosine with a vector `(size,)`, highest first, each with its cosine."""
        cosines, left_out = self.directions @ unit_length(vector), set(leave_out)
        ranked = ((self.words[row], float(cosines[row])) for row in np.argsort(-cosines, kind="stable"))
        return list(islice((pair for pair in ranked if pair[0] not in left_out), n))


def word_vectors(
    sentences: Iterable[Sequence[str]],
    *,
    vector_size: int = 100,
    window: int = 5,
    min_count: int = 5,
    max_words: int = 5000,
    smoothing: float = 0.75,
    seed: int = 0,
) -> WordVectors:
    """Vectors of the frequent words of some sentences.

    The association of word w and context c is max(0, log p(w, c) / (p(w) p(c))), with the counts of contexts raised to
    `smoothing` so that rare ones do not look too significant (Levy, Goldberg and Dagan 2015, section 3.2). Its
    truncated SVD U Σ Vᵀ gives word vectors U √Σ and context vectors V √Σ.

    Args:
        sentences: lists of words; windows do not cross from one into the next.
        window: number of words to each side that count as near.
        min_count: rarer words are left out, and the words around them do not move closer together.
        max_words: at most this many words, the most frequent, which bounds time and memory.
        smoothing: exponent of the context counts; 1 is plain PPMI.
        seed: of the starting vector of the SVD; it only decides rounding.

    Raises:
        ValueError: when fewer than `vector_size` + 2 words are frequent enough.
    """
    sentences = [list(sentence) for sentence in sentences]
    totals = Counter(word for sentence in sentences for word in sentence)
    frequent = sorted((word for word in totals if totals[word] >= min_count), key=lambda word: (-totals[word], word))
    words = tuple(frequent[:max_words])
    if len(words) < vector_size + 2:
        raise ValueError(
            f"vector_size: {vector_size} dimensions need at least {vector_size + 2} words that occur {min_count} times "
            f"or more; there are {len(words)}"
        )
    associations = ppmi(cooccurrences(sentences, words, window), smoothing)
    vectors, contexts = factorised(associations, vector_size, seed)
    return WordVectors(words, np.array([totals[word] for word in words]), vectors, contexts)


def cooccurrences(sentences: Iterable[Sequence[str]], words: Sequence[str], window: int) -> sparse.csr_matrix:
    """The number of times that two words stand within `window` places, `(len(words), len(words))`, symmetric."""
    index = {word: row for row, word in enumerate(words)}
    rows: list[int] = []
    for sentence in sentences:
        rows += [index.get(word, -1) for word in sentence]
        rows += [-1] * window  # a gap as wide as the window keeps sentences apart
    ids = np.array(rows, dtype=np.int64)
    counts = sparse.csr_matrix((len(words), len(words)))
    for distance in range(1, window + 1):
        left, right = ids[:-distance], ids[distance:]
        known = (left >= 0) & (right >= 0)
        counts += sparse.csr_matrix((np.ones(known.sum()), (left[known], right[known])), shape=counts.shape)
    return counts + counts.T


def ppmi(counts: sparse.csr_matrix, smoothing: float = 0.75) -> sparse.csr_matrix:
    """Positive pointwise mutual information of a matrix of counts, in nats, of the same shape.

    Follows Bullinaria and Levy 2007, whose best vectors these were.
    """
    pairs = counts.tocoo()
    word_totals = np.asarray(counts.sum(1)).ravel()
    context_totals = np.asarray(counts.sum(0)).ravel() ** smoothing
    expected = word_totals[pairs.row] * context_totals[pairs.col] / context_totals.sum()
    association = np.maximum(np.log(pairs.data / expected), 0.0)
    result = sparse.csr_matrix((association, (pairs.row, pairs.col)), shape=counts.shape)
    result.eliminate_zeros()
    return result


def factorised(matrix: sparse.csr_matrix, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """U √Σ and V √Σ of the truncated SVD, `(rows, size)` and `(columns, size)`, the largest singular value first.

    Of the two signs that each pair of singular vectors may have, the one that makes the largest entry of U positive.
    """
    start = np.random.default_rng(seed).standard_normal(min(matrix.shape))
    u, s, vt = svds(matrix.astype(float), k=size, v0=start)
    order = np.argsort(-s)
    u, s, vt = u[:, order], s[order], vt[order]
    signs = np.sign(u[np.abs(u).argmax(0), np.arange(size)])
    root = np.sqrt(s) * signs
    return u * root, vt.T * root


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Vectors (on the last axis) divided by their length; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def plural_pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs (word, word + "s") of a vocabulary, in its order: related by spelling, which the vectors never see."""
    known = set(words)
    return [(word, word + "s") for word in words if len(word) > 2 and word + "s" in known]


def share_nearer_than_chance(
    model: WordVectors, pairs: Sequence[tuple[str, str]], rng: np.random.Generator
) -> tuple[int, int]:
    """The number of pairs in which the first word is nearer to its partner than to another pair's: `(count, n)`.

    The other pair is drawn at random. Drawing from the other partners keeps their frequencies the same, which a random
    word of the vocabulary would not.
    """
    n = len(pairs)
    if n < 2:
        return 0, n
    first = model.look_up([a for a, _ in pairs], model.directions)
    second = model.look_up([b for _, b in pairs], model.directions)
    others = (np.arange(n) + rng.integers(1, n, size=n)) % n  # never its partner
    nearer = (first * second).sum(1) > (first * second[others]).sum(1)
    return int(nearer.sum()), n


def mean_cosine(vectors: np.ndarray) -> float:
    """The mean cosine between different rows of a `(length, size)` array; NaN for fewer than two rows."""
    directions = unit_length(vectors)
    n = len(directions)
    if n < 2:
        return math.nan
    cosines = directions @ directions.T
    return float((cosines.sum() - np.trace(cosines)) / (n * (n - 1)))
