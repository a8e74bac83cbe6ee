"""Near duplicates: a set-similarity join that keeps one sentence of each group of look-alikes.

Documentation repeats itself, within a library and across libraries. A sentence that stands in the training split
and, one word changed, in the test split leaks: the test would then measure memory.
"""

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import ceil

WORDS = re.compile(r"[^\W_]+")


def words(sentence: str) -> list[str]:
    """Return the words and numbers of a sentence in small letters, without punctuation."""
    return WORDS.findall(sentence.casefold())


def jaccard(first: str, second: str) -> float:
    """Return the share of two sentences' distinct words that they have in common, from 0 to 1."""
    one, other = set(words(first)), set(words(second))
    union = len(one | other)
    return len(one & other) / union if union else 1.0


def keep_first(sentences: Sequence[str], threshold: float = 0.8) -> list[int]:
    """Return the positions, in order, of the sentences that resemble none kept before them.

    Two sentences resemble each other when the Jaccard index of their sets of words is `threshold` or more (in
    (0, 1]), so that sentences equal but for case, punctuation and word order always do. No two of the kept ones
    do, and each dropped one resembles one that is kept. Sentences without any word are dropped.

    The join is exact and follows prefix filtering (Chaudhuri et al. 2006; Bayardo et al. 2007; Xiao et al. 2008,
    "Efficient similarity joins for near duplicate detection"): sets whose words are sorted from the rarest can
    only reach the threshold if they share a word among the first `size - ceil(threshold * size) + 1`.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold: {threshold} is not above 0 and at most 1")
    exact = Fraction(str(threshold))  # with floats, 0.8 of 5 words would be 4.000000000000001 words
    sets = _as_sets(sentences)
    needed = [ceil(exact * size) for size in range(max(map(len, sets), default=0) + 1)]
    seen: set[tuple[int, ...]] = set()
    index: dict[int, list[frozenset[int]]] = {}
    kept: list[int] = []
    for position, members in enumerate(sets):
        if not members or members in seen:
            continue
        seen.add(members)
        prefix = members[: len(members) - needed[len(members)] + 1]
        own = frozenset(members)
        if not _resembles_any(own, prefix, index, needed, exact):
            kept.append(position)
            for word in prefix:
                index.setdefault(word, []).append(own)
    return kept


def resembling(sentences: Sequence[str], others: Sequence[str], threshold: float = 0.8) -> list[int]:
    """Return the positions, in order, of the sentences that resemble any of the others, as `keep_first` has it.

    It says which training sentences stand, perhaps slightly reworded, in a test set. Sentences without any word
    resemble none.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold: {threshold} is not above 0 and at most 1")
    exact = Fraction(str(threshold))
    sets = _as_sets([*others, *sentences])
    needed = [ceil(exact * size) for size in range(max(map(len, sets), default=0) + 1)]
    prefixes = [members[: len(members) - needed[len(members)] + 1] if members else () for members in sets]
    index: dict[int, list[frozenset[int]]] = {}
    for members, prefix in dict(zip(sets[: len(others)], prefixes, strict=False)).items():
        own = frozenset(members)
        for word in prefix:
            index.setdefault(word, []).append(own)
    queries = zip(sets[len(others) :], prefixes[len(others) :], strict=True)
    return [
        position
        for position, (members, prefix) in enumerate(queries)
        if members and _resembles_any(frozenset(members), prefix, index, needed, exact)
    ]


def _as_sets(sentences: Sequence[str]) -> list[tuple[int, ...]]:
    """Return each sentence's distinct words as numbers that rise with their frequency, in rising order."""
    sets = [set(words(sentence)) for sentence in sentences]
    counts = Counter(word for members in sets for word in members)
    order = {word: rank for rank, word in enumerate(sorted(counts, key=lambda word: (counts[word], word)))}
    return [tuple(sorted(order[word] for word in members)) for members in sets]


def _resembles_any(
    own: frozenset[int],
    prefix: tuple[int, ...],
    index: dict[int, list[frozenset[int]]],
    needed: list[int],
    threshold: Fraction,
) -> bool:
    """Say whether any indexed set that shares a word of the prefix reaches the threshold."""
    size = len(own)
    smallest = needed[size]
    numerator, denominator = threshold.as_integer_ratio()
    for word in prefix:
        for other in index.get(word, ()):
            large_enough = smallest <= len(other) and needed[len(other)] <= size
            # shared / union >= threshold, in whole numbers
            if large_enough and len(own & other) * (numerator + denominator) >= numerator * (size + len(other)):
                return True
    return False
