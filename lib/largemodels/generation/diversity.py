"""How varied and how likely generated text is, in numbers that text of people has too.

A text is a list of token ids. None of these numbers is a quality by itself: a model can be too repetitive, and it can
be too varied. What they should be is what the true text has, cut and counted in the same way (Holtzman et al. 2020).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from largemodels.models.batches import pad

Text = Sequence[int]


def distinct(texts: Sequence[Text], n: int, size: int | None = None) -> float:
    """The share of different n-grams among all n-grams of some texts, distinct-n (Li et al. 2016).

    It falls as texts grow, since what is frequent comes again: so compare texts at one `size`.

    Args:
        n: tokens in an n-gram; none crosses texts.
        size: how many n-grams are counted, the first ones; all if not given.

    Raises:
        ValueError: for texts with fewer n-grams than that, or none.

    Examples:
        >>> distinct([[1, 2, 1, 2], [1, 2, 3]], 2)  # 1 2, 2 1 and 2 3 of five
        0.6
    """
    found = [ngram for text in texts for ngram in _ngrams(text, n)]
    size = len(found) if size is None else size
    if not 0 < size <= len(found):
        raise ValueError(f"size: {size} is not between 1 and {len(found)}, the n-grams that the texts have")
    return len(set(found[:size])) / size


def repeated_share(texts: Sequence[Text], n: int = 4) -> float:
    """The share of n-grams that stand in their own text before (Welleck et al. 2020): of a text in a loop nearly 1.

    Examples:
        >>> repeated_share([[1, 2, 1, 2, 1], [1, 2, 3]], 2)  # 1 2 and 2 1 come again
        0.3333333333333333
    """
    ngrams = [_ngrams(text, n) for text in texts]
    total = sum(map(len, ngrams))
    if not total:
        raise ValueError(f"texts: none has {n} tokens")
    return (total - sum(len(set(each)) for each in ngrams)) / total


def unigram_entropy(texts: Sequence[Text], size: int | None = None) -> float:
    """The entropy of the frequencies of tokens, in nats; of the first `size` tokens, as few show fewer kinds.

    Examples:
        >>> round(unigram_entropy([[1, 2], [3, 4]]) / float(np.log(2)), 6)  # four tokens alike, in bits
        2.0
    """
    shares = _frequencies(texts, size) / _frequencies(texts, size).sum()
    return float(-(shares * np.log(shares)).sum())


def zipf_slope(texts: Sequence[Text], ranks: int = 100, size: int | None = None) -> float:
    """The slope of log frequency against log rank over the most frequent tokens, near −1 in most text (Zipf 1949).

    Args:
        ranks: of the tokens that are looked at, as many as are there at most; fitted by least squares.
        size: how many tokens are counted, the first ones; all if not given.

    Raises:
        ValueError: for texts of a single kind of token.

    Examples:
        >>> round(zipf_slope([[1] * 12 + [2] * 6 + [3] * 4 + [4] * 3]), 6)
        -1.0
    """
    frequencies = np.sort(_frequencies(texts, size))[::-1][:ranks]
    if len(frequencies) < 2:
        raise ValueError("texts: a slope needs at least 2 different tokens")
    return float(np.polyfit(np.log(np.arange(1, len(frequencies) + 1)), np.log(frequencies), 1)[0])


@torch.no_grad()
def continuation_losses(
    model: nn.Module, prompts: Sequence[Text], continuations: Sequence[Text], *, at_once: int = 64
) -> pd.DataFrame:
    """One row for each token of the continuations: text (its number) and loss, −log p given all before it, in nats.

    The loss of a model's own samples, beside that of the true continuations, says whether what it draws is as likely,
    to itself, as what people wrote. A model of `transformers` or `Decoder` is left in evaluation mode.

    Args:
        prompts: at least a token each.
        continuations: of each prompt; one without tokens has no row.
        at_once: texts in a batch.

    Raises:
        ValueError: for an empty prompt.
    """
    if not all(map(len, prompts)):
        raise ValueError("prompts: the first token of a text is never predicted, so each needs one")
    model.eval()
    parts = []
    for start in range(0, len(prompts), at_once):
        pairs = list(zip(prompts[start : start + at_once], continuations[start : start + at_once], strict=True))
        batch = pad([np.array([*prompt, *rest]) for prompt, rest in pairs], 0)  # (batch, length); padding is masked
        places = torch.arange(batch["input_ids"].shape[1])
        begins = torch.tensor([len(prompt) for prompt, _ in pairs])
        asked = (batch["attention_mask"].bool() & (places >= begins[:, None]))[:, 1:]
        logits = model(**{name: each.to(model.device) for name, each in batch.items()}).logits[:, :-1].cpu()
        losses = F.cross_entropy(logits[asked].float(), batch["input_ids"][:, 1:][asked], reduction="none")
        parts.append(pd.DataFrame({"text": start + asked.nonzero()[:, 0].numpy(), "loss": losses.numpy()}))
    return pd.concat(parts, ignore_index=True)


def _ngrams(text: Text, n: int) -> list[tuple[int, ...]]:
    """The n-grams of a text, in their order."""
    return list(zip(*(text[place:] for place in range(n)), strict=False))


def _frequencies(texts: Sequence[Text], size: int | None) -> np.ndarray:
    """How often each kind of token stands among the first `size`, `(kinds,)`."""
    tokens = [token for text in texts for token in text]
    size = len(tokens) if size is None else size
    if not 0 < size <= len(tokens):
        raise ValueError(f"size: {size} is not between 1 and {len(tokens)}, the tokens that the texts have")
    return np.array(list(Counter(tokens[:size]).values()), dtype=float)
