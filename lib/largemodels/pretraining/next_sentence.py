"""Next-sentence prediction: pairs of sentences of which half follow each other (Devlin et al. 2019).

The pairs decide what is learned. Where a false second sentence comes from anywhere, its topic often gives it away,
which Lan et al. 2020 (ALBERT) blame for the small use of the task; from the same library it is harder to tell.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.models.classifiers import predict

IS_NEXT, NOT_NEXT = 0, 1  # as in `BertForPreTraining`


def sentence_pairs(sentences: pd.DataFrame, *, same_library: bool = False, seed: int = 0) -> pd.DataFrame:
    """A pair for each two consecutive sentences; half of the pairs (rounded up) keep the second, the others lose it.

    Sentences are consecutive where their positions in one document are. A false second sentence is the second of
    another pair, from another document: so by itself it says nothing about the label.

    Args:
        sentences: as `largemodels.data.corpora.sentences` gives them: sentence, library, document, position.
        same_library: whether false second sentences come from the same library, which is harder to tell.

    Returns:
        A table of first, second, label (`IS_NEXT` or `NOT_NEXT`), library, document and second_document, in the order
        of the first sentences.

    Raises:
        InputError: if no two sentences are consecutive, or all that are stand in one document.
    """
    following = sentences.shift(-1)
    starts = (sentences["document"] == following["document"]) & (sentences["position"] + 1 == following["position"])
    first, second = sentences[starts], following[starts]
    if first.empty:
        raise InputError("sentences: no document has two consecutive ones, and next-sentence prediction needs some")
    generator = np.random.default_rng(seed)
    false = generator.permutation(len(first)) >= (len(first) + 1) // 2
    groups = first["library"].to_numpy() if same_library else np.zeros(len(first))
    partner = _partners(false, first["document"].to_numpy(), groups, generator)
    return pd.DataFrame(
        {
            "first": first["sentence"].to_numpy(),
            "second": second["sentence"].to_numpy()[partner],
            "label": np.where(false, NOT_NEXT, IS_NEXT),
            "library": first["library"].to_numpy(),
            "document": first["document"].to_numpy(),
            "second_document": first["document"].to_numpy()[partner],
        }
    )


def _partners(
    false: np.ndarray, documents: np.ndarray, groups: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """The pair whose second sentence each takes, `(pairs,)`: itself, or for a false pair one of another document."""
    partner = np.arange(len(documents))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(set(documents[members])) < 2:
            raise InputError(
                f"sentences: only one document{f' of {group}' if isinstance(group, str) else ''} has consecutive ones, "
                "and a false pair needs another"
            )
        waiting = members[false[members]]
        while len(waiting):
            partner[waiting] = generator.choice(members, len(waiting))
            waiting = waiting[documents[partner[waiting]] == documents[waiting]]
    return partner


def as_texts(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs in the columns of a classification task: text, text_pair and label."""
    return pairs.rename(columns={"first": "text", "second": "text_pair"})


def judged_pairs(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: pd.DataFrame, *, max_length: int = 128
) -> pd.DataFrame:
    """The pairs with the model's answers: probability (of `IS_NEXT`), loss (nats) and correct.

    The model is a classifier of two classes, and is left in evaluation mode.
    """
    log_probabilities = predict(model, tokenizer, as_texts(pairs), max_length=max_length)  # (pairs, 2)
    labels = pairs["label"].to_numpy()
    return pairs.assign(
        probability=np.exp(log_probabilities[:, IS_NEXT]),
        loss=-log_probabilities[np.arange(len(pairs)), labels],
        correct=log_probabilities.argmax(-1) == labels,
    )
