"""Byte-level byte-pair encoding: a tokenizer that can spell any text, trained on the corpus at hand, as GPT-2 has one.

Its smallest pieces are the 256 bytes, so nothing is unknown, and what is decoded is what was encoded. `ByteBPE` writes
it out; `train_tokenizer` is the library's, which learns some two hundred times as fast and, given the same merges, cuts
alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from largemodels.base.errors import InputError

END = "<|endoftext|>"
"""Stands before a text and behind it, as in GPT-2."""
SMALLEST = 257
"""The tokens of a vocabulary without merges: the bytes, and `END`."""


def train_tokenizer(texts: Iterable[str], vocabulary_size: int, *, max_length: int = 1024) -> PreTrainedTokenizerFast:
    """A tokenizer with exactly `vocabulary_size` tokens: `END`, the 256 bytes, and the merges.

    A text is split into words with the space before them, numbers and marks (GPT-2's pattern: Radford et al. 2019); no
    merge crosses two of them. Encoding adds no special token.

    Args:
        vocabulary_size: number of tokens.
        max_length: the tokenizer's `model_max_length`, in tokens.

    Raises:
        InputError: for fewer tokens than there are bytes, or more than the text supports.
    """
    if vocabulary_size < SMALLEST:
        raise InputError(f"vocabulary_size: {vocabulary_size} is not at least {SMALLEST}, the bytes and {END}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if (found := tokenizer.get_vocab_size()) < vocabulary_size:
        raise InputError(f"vocabulary_size: {vocabulary_size} is more than the text supports; give at most {found}")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
        bos_token=END,
        eos_token=END,
        pad_token=END,  # padding is masked, whatever it is
    )


class ByteBPE:
    """Byte-pair encoding over bytes (Sennrich et al. 2016; Radford et al. 2019, section 2.2).

    Args:
        merges: pairs of pieces in the order in which they were learnt.

    Examples:
        >>> bpe = ByteBPE.learnt(["low lower slow", "slower"], 3)
        >>> bpe.split(" lowest")
        [b' ', b'low', b'e', b's', b't']
        >>> b"".join(bpe.split("≤ 1 🙂")).decode()
        '≤ 1 🙂'
    """

    def __init__(self, merges: Sequence[tuple[bytes, bytes]]) -> None:
        self.merges = list(merges)
        self.rank = {pair: place for place, pair in enumerate(self.merges)}

    @classmethod
    def learnt(cls, texts: Iterable[str], number: int) -> ByteBPE:
        """As many merges as asked for, or until every word is one piece.

        Each joins the pair of neighbours that stands in the words most often; of equally frequent pairs the smaller in
        the order of bytes.
        """
        counts: dict[tuple[bytes, ...], int] = {}
        for text in texts:
            for word in _words(text):
                pieces = tuple(bytes([byte]) for byte in word)
                counts[pieces] = counts.get(pieces, 0) + 1
        merges: list[tuple[bytes, bytes]] = []
        for _ in range(number):
            pairs: dict[tuple[bytes, bytes], int] = {}
            for pieces, count in counts.items():
                for pair in pairwise(pieces):
                    pairs[pair] = pairs.get(pair, 0) + count
            if not pairs:
                break
            best = min(pairs, key=lambda pair: (-pairs[pair], pair))
            merges.append(best)
            joined: dict[tuple[bytes, ...], int] = {}
            for pieces, count in counts.items():
                merged = _merged(pieces, best)
                joined[merged] = joined.get(merged, 0) + count
            counts = joined
        return cls(merges)

    @classmethod
    def from_tokenizer(cls, tokenizer: PreTrainedTokenizerFast) -> ByteBPE:
        """The merges of a byte-level tokenizer of `tokenizers`.

        Raises:
            InputError: for a tokenizer of another kind.
        """
        model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
        if model["type"] != "BPE" or "Ġ" not in model["vocab"]:
            raise InputError("tokenizer: is no byte-level byte-pair encoding")
        pairs = (pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"])
        return cls([(_bytes(left), _bytes(right)) for left, right in pairs])

    def split(self, text: str) -> list[bytes]:
        """The pieces of a text, which put together are its UTF-8 bytes."""
        return [piece for word in _words(text) for piece in self._pieces(word)]

    def _pieces(self, word: bytes) -> tuple[bytes, ...]:
        """A word's pieces: of the pairs of neighbours, the one learnt first is joined, until none was learnt."""
        pieces = tuple(bytes([byte]) for byte in word)
        while len(pieces) > 1:
            first = min(pairwise(pieces), key=lambda pair: self.rank.get(pair, len(self.rank)))
            if first not in self.rank:
                break
            pieces = _merged(pieces, first)
        return pieces


def _merged(pieces: tuple[bytes, ...], pair: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    """The pieces with each such pair joined, from the left."""
    result: list[bytes] = []
    place = 0
    while place < len(pieces):
        if pieces[place : place + 2] == pair:
            result.append(pair[0] + pair[1])
            place += 2
        else:
            result.append(pieces[place])
            place += 1
    return tuple(result)


_SPLITTER = pre_tokenizers.ByteLevel(add_prefix_space=False)


def _words(text: str) -> list[bytes]:
    """The UTF-8 bytes of each word with the space before it, as GPT-2's pattern splits them."""
    return [_bytes(word) for word, _ in _SPLITTER.pre_tokenize_str(text)]


_BYTES = {character: byte for byte, character in bytes_to_unicode().items()}


def _bytes(piece: str) -> bytes:
    """The bytes of a piece of a byte-level vocabulary."""
    return bytes(_BYTES[character] for character in piece)
