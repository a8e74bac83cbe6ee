"""A WordPiece tokenizer trained on the corpus at hand, as BERT has one: lower case, pieces of words.

Pretraining begins here; everything after it sees only the `input_ids` that this tokenizer gives out. What its training
does, merge by merge, is written out in `bpe_merges` and `wordpiece_merges`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise

import pandas as pd
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from largemodels.base.errors import InputError

SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}  # their ids are 0 to 4, in this order
LONGEST_WORD = 100  # characters; a longer word becomes [UNK], as in BERT


def train_tokenizer(texts: Iterable[str], vocabulary_size: int, *, max_length: int = 512) -> PreTrainedTokenizerFast:
    """A tokenizer with exactly `vocabulary_size` tokens, the special ones first.

    It lower-cases, strips accents, splits at white space and punctuation, and cuts each word into the longest pieces
    that its vocabulary holds, pieces within a word marked by `##` (WordPiece: Schuster and Nakajima 2012, as in Devlin
    et al. 2019). One text is framed as `[CLS] … [SEP]`, two as `[CLS] … [SEP] … [SEP]`. The same texts, in any order,
    give the same vocabulary.

    Args:
        vocabulary_size: number of tokens, special ones and single characters among them.
        max_length: the tokenizer's `model_max_length`, in tokens.

    Raises:
        InputError: if the text is too small for the vocabulary, or the vocabulary too small for its characters.
    """
    specials = list(SPECIAL_TOKENS.values())
    texts = list(texts)
    learner = _empty_tokenizer()
    characters = set().union(*map(learner.normalizer.normalize_str, texts)) - set(" ")
    pieces = sorted(f"##{character}" for character in characters if _stands_in_words(learner, character))
    if (smallest := len(specials) + len(characters) + len(pieces)) > vocabulary_size:
        raise InputError(f"vocabulary_size: {vocabulary_size} is not at least {smallest}, the characters of the text")
    # The library numbers `##a`, `##b`, … in the random order of a hash table, and breaks ties between equally frequent
    # pairs by these numbers. Given as special tokens they are numbered as listed: the vocabulary is always the same.
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size, special_tokens=specials + pieces, show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    vocabulary = learner.get_vocab()
    if len(vocabulary) < vocabulary_size:
        raise InputError(
            f"vocabulary_size: {vocabulary_size} is more than the text supports; give at most {len(vocabulary)}"
        )
    return _framed(_empty_tokenizer(vocabulary), max_length)


def _empty_tokenizer(vocabulary: dict[str, int] | None = None) -> Tokenizer:
    """A tokenizer that splits text as BERT does, with a vocabulary or without one yet."""
    model = models.WordPiece(vocabulary or {}, unk_token="[UNK]", max_input_chars_per_word=LONGEST_WORD)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def _stands_in_words(tokenizer: Tokenizer, character: str) -> bool:
    """Whether a word goes on with this character; punctuation marks and Chinese characters are whole words."""
    return len(tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(f"a{character}"))) == 1


def _framed(tokenizer: Tokenizer, max_length: int) -> PreTrainedTokenizerFast:
    """The tokenizer as `transformers` knows it, which frames one text, or two, with `[CLS]` and `[SEP]`."""
    frame = [(token, tokenizer.token_to_id(token)) for token in ("[SEP]", "[CLS]")]
    tokenizer.post_processor = processors.BertProcessing(*frame)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=max_length, clean_up_tokenization_spaces=False, **SPECIAL_TOKENS
    )


# --- What a trainer does, on a few words ------------------------------------------------------------------


def bpe_merges(words: Iterable[str], number: int, *, prefix: str = "") -> pd.DataFrame:
    """The first merges of byte-pair encoding, a row each: left, right, joined, count and score, which is the count.

    Each word begins as its characters. Each merge joins the pair of neighbours that stands in the words most often,
    everywhere where it stands; of equally frequent pairs the one whose pieces were known first, single characters in
    the order of the alphabet. Words that come several times count several times (Sennrich et al. 2016).

    Args:
        words: of any language, without spaces.
        number: of merges; there are fewer where every word is whole before.
        prefix: of pieces that do not begin a word, such as `##`.

    Examples:
        >>> print(*bpe_merges(["low", "lower", "slow"], 2)["joined"])
        lo low
    """
    return _merges(words, number, prefix, lambda pair, left, right: pair)


def wordpiece_merges(words: Iterable[str], number: int, *, prefix: str = "##") -> pd.DataFrame:
    """The first merges by WordPiece's score, in the columns of `bpe_merges`.

    The score is count(ab) / (count(a) · count(b)): how much more often the two stand together than their own
    frequencies would make them, up to a factor that is the same for all pairs. WordPiece joins the pair that raises the
    likelihood of the text most (Schuster and Nakajima 2012); its trainer was never published, and this score, roughly
    the gain for each occurrence, is the usual account of it.

    Examples:
        >>> print(*wordpiece_merges(["low", "lower", "slow"], 2)["joined"])
        ##er sl
    """
    return _merges(words, number, prefix, lambda pair, left, right: pair / (left * right))


def _merges(words: Iterable[str], number: int, prefix: str, score: Callable[[int, int, int], float]) -> pd.DataFrame:
    frequency = Counter(words)
    pieces = {word: [word[0], *(prefix + character for character in word[1:])] for word in frequency}
    known = sorted({piece for split in pieces.values() for piece in split})
    merges = []
    for _ in range(number):
        single, pairs = Counter(), Counter()
        for word, split in pieces.items():
            for piece in split:
                single[piece] += frequency[word]
            for pair in pairwise(split):
                pairs[pair] += frequency[word]
        if not pairs:
            break
        scores = {(a, b): score(count, single[a], single[b]) for (a, b), count in pairs.items()}
        left, right = min(scores, key=lambda pair: (-scores[pair], *map(known.index, pair)))
        joined = left + right.removeprefix(prefix)
        merges.append((left, right, joined, pairs[left, right], scores[left, right]))
        known += [joined] if joined not in known else []
        pieces = {word: _joined(split, left, right, joined) for word, split in pieces.items()}
    return pd.DataFrame(merges, columns=["left", "right", "joined", "count", "score"])


def _joined(split: list[str], left: str, right: str, joined: str) -> list[str]:
    """The pieces of a word with each `left` before a `right` joined to it, from the first on."""
    result: list[str] = []
    for piece in split:
        if piece == right and result and result[-1] == left:
            result[-1] = joined
        else:
            result.append(piece)
    return result
