"""Near duplicates: a set-similarity join that finds the sentences that resemble others.

Documentation repeats itself, within a library and across libraries. A sentence that stands in the training split
and, one word changed, in the test split leaks: the test would then measure memory.

Two sentences resemble each other when the Jaccard index of their sets of words is the threshold or more, so that
sentences equal but for case, punctuation and word order always do. The join is exact and follows prefix filtering
(Chaudhuri et al. 2006; Bayardo et al. 2007; Xiao et al. 2008, "Efficient similarity joins for near duplicate
detection"): sets whose words are sorted from the rarest can only reach the threshold if they share a word among the
first `size - ceil(threshold * size) + 1`.
"""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from largemodels.data.texts import words


def keep_first(sentences: Sequence[str], threshold: float = 0.8) -> list[int]:
    """The positions, in order, of the sentences that resemble none kept before them.

    No two of the kept ones resemble each other, and each dropped one resembles one that is kept. Sentences without
    any word are dropped.

    Raises:
        ValueError: for a threshold that is not in (0, 1].
    """
    sets = _word_sets(sentences)
    index = _Index(sets, threshold)
    seen: set[tuple[int, ...]] = set()
    kept: list[int] = []
    for position, members in enumerate(sets):
        if not members or members in seen:
            continue
        seen.add(members)
        if not index.resembles_any(members):
            kept.append(position)
            index.add(members)
    return kept


def resembling(sentences: Sequence[str], others: Sequence[str], threshold: float = 0.8) -> list[int]:
    """The positions, in order, of the sentences that resemble any of the others, such as those of a test set.

    Sentences without any word resemble none.

    Raises:
        ValueError: for a threshold that is not in (0, 1].
    """
    sets = _word_sets([*others, *sentences])
    index = _Index(sets, threshold)
    for members in dict.fromkeys(sets[: len(others)]):
        index.add(members)
    return [
        position for position, members in enumerate(sets[len(others) :]) if members and index.resembles_any(members)
    ]


def _word_sets(sentences: Sequence[str]) -> list[tuple[int, ...]]:
    """Each sentence's distinct words as numbers that rise with their frequency, in rising order."""
    sets = [set(words(sentence)) for sentence in sentences]
    counts = Counter(word for members in sets for word in members)
    order = {word: rank for rank, word in enumerate(sorted(counts, key=lambda word: (counts[word], word)))}
    return [tuple(sorted(order[word] for word in members)) for members in sets]


class _Index:
    """Sets of words, by the words of their prefixes."""

    def __init__(self, sets: Sequence[tuple[int, ...]], threshold: float) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold: {threshold} is not above 0 and at most 1")
        exact = Fraction(str(threshold))  # with floats, 0.8 of 5 words would be 4.000000000000001 words
        self.numerator, self.denominator = exact.as_integer_ratio()
        self.needed = [ceil(exact * size) for size in range(max(map(len, sets), default=0) + 1)]  # by size
        self.by_word: dict[int, list[frozenset[int]]] = {}

    def _prefix(self, members: tuple[int, ...]) -> tuple[int, ...]:
        return members[: len(members) - self.needed[len(members)] + 1]

    def add(self, members: tuple[int, ...]) -> None:
        """Take a set in."""
        distinct = frozenset(members)
        for word in self._prefix(members):
            self.by_word.setdefault(word, []).append(distinct)

    def resembles_any(self, members: tuple[int, ...]) -> bool:
        """Whether any set that was added reaches the threshold."""
        distinct, size = frozenset(members), len(members)
        smallest, needed = self.needed[size], self.needed
        numerator, both = self.numerator, self.numerator + self.denominator
        for word in self._prefix(members):
            for other in self.by_word.get(word, ()):
                large_enough = smallest <= len(other) and needed[len(other)] <= size
                # shared / union >= threshold, in whole numbers
                if large_enough and len(distinct & other) * both >= numerator * (size + len(other)):
                    return True
        return False
