"""Guessing the next word of a text from what stands before it: a question that a masked model can be asked as well.

A decoder and an encoder cut text differently, and an encoder that sees both sides of a token has no probability for a
text. What both have is a probability for each word of a list, at one place, given the words on its left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.generation.reading import begun, context_length
from largemodels.models.batches import pad


def shared_words(texts: Iterable[str], tokenizers: Sequence[PreTrainedTokenizerBase], number: int) -> list[str]:
    """The most frequent words of some texts that are one token to every tokenizer, at most `number` of them.

    A word is of lower-case letters alone, and stands between spaces.

    Raises:
        InputError: if there are fewer than two.
    """
    counts = Counter(word for text in texts for word in text.split(" ") if word.isalpha() and word.islower())
    words: list[str] = []
    for word, _ in counts.most_common():
        if len(words) == number:
            break
        if all(len(_tokens(tokenizer, f" {word}")) == 1 for tokenizer in tokenizers):
            words.append(word)
    if len(words) < 2:
        raise InputError("texts: no two of their words are one token to every tokenizer; give more text")
    return words


def word_ids(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> list[int]:
    """The token of each of the `shared_words`, with the space before it where the tokenizer keeps spaces."""
    return [_tokens(tokenizer, f" {word}")[0] for word in words]


def hidden_words(
    documents: pd.DataFrame, words: Sequence[str], *, least: int = 5, most: int = 40, seed: int = 0
) -> pd.DataFrame:
    """One place of each document that has one, where a word of the list stands: document, left, word, right.

    One of a document, so that places are independent. Left and right are the text before the word and behind it.

    Args:
        documents: document, text.
        words: the list.
        least: words on the left at least.
        most: words on the left at most; so many stand there from the beginning of the document.
        seed: of the draw among a document's places.

    Examples:
        >>> documents = pd.DataFrame({"document": ["a"], "text": ["the sum of all the rows is an array"]})
        >>> hidden_words(documents, ["rows", "sum"], least=2).iloc[0].tolist()
        ['a', 'the sum of all the', 'rows', 'is an array']
    """
    random, listed, rows = np.random.default_rng(seed), set(words), []
    for document, text in zip(documents["document"], documents["text"], strict=True):
        split = text.split(" ")
        if places := [place for place in range(least, min(most + 1, len(split))) if split[place] in listed]:
            place = int(random.choice(places))
            rows.append((document, " ".join(split[:place]), split[place], " ".join(split[place + 1 :])))
    return pd.DataFrame(rows, columns=["document", "left", "word", "right"])


def log_probabilities_after(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, left: Sequence[str], words: Sequence[str]
) -> np.ndarray:
    """log p of each word of a list after each text by a causal model, given that it is one of them: `(texts, words)`.

    Each text stands behind the token that begins a text, as `begun` has it; of one that is longer than the model reads
    the last tokens count.
    """
    room = context_length(model) or 0  # [-0:] is the whole text
    read = [begun(tokenizer, _tokens(tokenizer, text))[-room:] for text in left]
    return _at(model, read, [len(ids) - 1 for ids in read], word_ids(tokenizer, words))


def log_probabilities_at_mask(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    left: Sequence[str],
    words: Sequence[str],
    *,
    masks: int = 1,
    right: Sequence[str] | None = None,
) -> np.ndarray:
    """log p of each word of a list at a mask by a masked model, given that it is one of them: `(texts, words)`.

    Args:
        left: the text before the mask; of one that is too long the last words count.
        words: the list.
        masks: how many stand one behind the other; the first is asked. A single one at the end tells the model that
            the text stops behind the word.
        right: the text behind the masks; of one that is too long the first words count.
    """
    room = (model.config.max_position_embeddings - masks - 2) // 2  # on each side
    before = [[tokenizer.cls_token_id, *_tokens(tokenizer, text)[-room:]] for text in left]
    behind = [_tokens(tokenizer, text)[:room] for text in ([""] * len(left) if right is None else right)]
    hidden = [tokenizer.mask_token_id] * masks
    whole = [[*one, *hidden, *other, tokenizer.sep_token_id] for one, other in zip(before, behind, strict=True)]
    return _at(model, whole, [len(ids) for ids in before], word_ids(tokenizer, words))


@torch.no_grad()
def _at(
    model: nn.Module, texts: Sequence[Sequence[int]], places: Sequence[int], asked: Sequence[int], at_once: int = 64
) -> np.ndarray:
    """log p of the asked tokens among themselves, at one place of each text: `(texts, asked)`."""
    model.eval()
    order = np.argsort([len(ids) for ids in texts])  # texts of a batch are alike in length
    found = np.empty((len(texts), len(asked)))
    for start in range(0, len(texts), at_once):
        chosen = order[start : start + at_once]
        batch = pad([np.array(texts[number]) for number in chosen], 0)  # (batch, length); padding is masked
        logits: Tensor = model(**{name: each.to(model.device) for name, each in batch.items()}).logits
        at = torch.tensor([places[number] for number in chosen])
        rows = logits[torch.arange(len(chosen)), at][:, list(asked)]  # (batch, asked)
        found[chosen] = rows.float().log_softmax(-1).cpu().numpy()
    return found


def _tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The tokens of a text, without special ones."""
    return tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
