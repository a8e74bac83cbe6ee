"""How varied and how likely generated text is, in numbers that text of people has too.

A text is a list of token ids. None of these numbers is a quality by itself: a model can be too repetitive, and it can
be too varied. What they should be is what the true text has, of the same size (Holtzman et al. 2020).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from largemodels.generation.reading import refuse_unreadable
from largemodels.models.batches import pad

Text = Sequence[int]


def distinct(texts: Sequence[Text], n: int) -> float:
    """The share of different n-grams among all n-grams of some texts, distinct-n (Li et al. 2016).

    It falls as texts grow, since what is frequent comes again.

    Args:
        texts: one of which has `n` tokens at least.
        n: tokens in an n-gram; none crosses texts.

    Examples:
        >>> distinct([[1, 2, 1, 2], [1, 2, 3]], 2)  # 1 2, 2 1 and 2 3 of five
        0.6
    """
    found = [ngram for ngrams in _ngrams(texts, n) for ngram in ngrams]
    return len(set(found)) / len(found)


def repeated_share(texts: Sequence[Text], n: int = 4) -> float:
    """The share of n-grams that stand in their own text before (Welleck et al. 2020): of a text in a loop nearly 1.

    Examples:
        >>> round(repeated_share([[1, 2, 1, 2, 1], [1, 2, 3]], 2), 3)  # of six, 1 2 and 2 1 come again
        0.333
    """
    ngrams = _ngrams(texts, n)
    return 1 - sum(len(set(each)) for each in ngrams) / sum(map(len, ngrams))


def unigram_entropy(texts: Sequence[Text]) -> float:
    """The entropy of the frequencies of tokens, in nats; a small text shows fewer kinds, and so has less.

    Examples:
        >>> round(unigram_entropy([[1, 2], [3, 4]]) / float(np.log(2)), 6)  # four tokens alike, in bits
        2.0
    """
    frequencies = _frequencies(texts)
    shares = frequencies / frequencies.sum()
    return float(-(shares * np.log(shares)).sum())


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
        InputError: for a model that is not causal, or a text that is longer than its context.
    """
    if not all(map(len, prompts)):
        raise ValueError("prompts: the first token of a text is never predicted, so each needs one")
    wholes = [[*prompt, *rest] for prompt, rest in zip(prompts, continuations, strict=True) if len(rest)]
    if not wholes:
        raise ValueError("continuations: none has a token")
    refuse_unreadable(model, [whole[:-1] for whole in wholes], 1)
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


def _ngrams(texts: Sequence[Text], n: int) -> list[list[tuple[int, ...]]]:
    """The n-grams of each text, in their order, of which there is one at least."""
    found = [list(zip(*(text[place:] for place in range(n)), strict=False)) for text in texts]
    if not any(found):
        raise ValueError(f"texts: none has {n} tokens")
    return found


def _frequencies(texts: Sequence[Text]) -> np.ndarray:
    """How often each kind of token stands in some texts, `(kinds,)`."""
    counts = Counter(token for text in texts for token in text)
    if not counts:
        raise ValueError("texts: none has a token")
    return np.array(list(counts.values()), dtype=float)
