"""Near duplicates: a set-similarity join that finds the sentences that resemble others.

Documentation repeats itself, within a library and across libraries. A sentence that stands in the training split
and, one word changed, in the test split leaks: the test would then measure memory.

Two sentences resemble each other when the Jaccard index of their sets of words is 4/5 or more, so that sentences equal
but for case, punctuation and word order always do. The join is exact and follows prefix filtering (Chaudhuri et al.
2006; Bayardo et al. 2007; Xiao et al. 2008, "Efficient similarity joins for near duplicate detection"): sets whose
words are sorted from the rarest can only resemble if they share one of the first `size - ceil(4/5 * size) + 1`.
"""

from collections import Counter
from collections.abc import Sequence

from largemodels.data.texts import words

_SHARED, _OF = 4, 5  # the least Jaccard index as a fraction: with floats, 0.8 of 5 words would be 4.000000000000001


def keep_first(sentences: Sequence[str]) -> list[int]:
    """The positions, in order, of the sentences that resemble none kept before them.

    No two of the kept ones resemble each other, and each dropped one resembles one that is kept. Sentences without
    any word are dropped.
    """
    index = _Index()
    seen: set[tuple[int, ...]] = set()
    kept: list[int] = []
    for position, members in enumerate(_word_sets(sentences)):
        if not members or members in seen:
            continue
        seen.add(members)
        if not index.resembles_any(members):
            kept.append(position)
            index.add(members)
    return kept


def resembling(sentences: Sequence[str], others: Sequence[str]) -> list[int]:
    """The positions, in order, of the sentences that resemble any of the others, such as those of a test set.

    Sentences without any word resemble none.
    """
    sets, index = _word_sets([*others, *sentences]), _Index()
    for members in dict.fromkeys(sets[: len(others)]):
        index.add(members)
    return [place for place, members in enumerate(sets[len(others) :]) if members and index.resembles_any(members)]


def _word_sets(sentences: Sequence[str]) -> list[tuple[int, ...]]:
    """Each sentence's distinct words as numbers that rise with their frequency, in rising order."""
    sets = [set(words(sentence)) for sentence in sentences]
    counts = Counter(word for members in sets for word in members)
    order = {word: rank for rank, word in enumerate(sorted(counts, key=lambda word: (counts[word], word)))}
    return [tuple(sorted(order[word] for word in members)) for members in sets]


class _Index:
    """Sets of words, by the words of their prefixes."""

    def __init__(self) -> None:
        self.by_word: dict[int, list[frozenset[int]]] = {}

    def _prefix(self, members: tuple[int, ...]) -> tuple[int, ...]:
        return members[: len(members) - -(-_SHARED * len(members) // _OF) + 1]

    def add(self, members: tuple[int, ...]) -> None:
        """Take a set in."""
        distinct = frozenset(members)
        for word in self._prefix(members):
            self.by_word.setdefault(word, []).append(distinct)

    def resembles_any(self, members: tuple[int, ...]) -> bool:
        """Whether any set that was added shares enough words."""
        distinct, size = frozenset(members), len(members)
        smallest, largest = -(-_SHARED * size // _OF), _OF * size // _SHARED
        for word in self._prefix(members):
            for other in self.by_word.get(word, ()):
                # shared / union >= 4/5, in whole numbers
                enough = _SHARED * (size + len(other))
                if smallest <= len(other) <= largest and len(distinct & other) * (_SHARED + _OF) >= enough:
                    return True
        return False
