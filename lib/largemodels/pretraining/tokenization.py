"""A WordPiece tokenizer trained on the corpus at hand, as BERT has one: lower case, pieces of words.

Pretraining begins here; everything after it sees only the `input_ids` that this tokenizer gives out.
"""

from __future__ import annotations

from collections.abc import Iterable

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
