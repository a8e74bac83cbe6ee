"""The loss of a language model in units: perplexity for each token, and bits for each byte of the text.

A table of losses has a row for each predicted token, with its document and its loss in nats, as `token_losses` of
`language_model` and of `ngrams` give it; the documents' table is that of `joined_documents`. Every predicted token
counts, the end-of-text behind a document among them: a code has to say where the text stops. It adds no byte.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from largemodels.statistics.intervals import clustered_mean_interval, ratio_interval


def perplexity(losses: pd.DataFrame) -> tuple[float, float, float]:
    """e to the mean loss of a token, with its 95% interval over documents: `(perplexity, low, high)`.

    It is the number of equally likely tokens among which a choice costs as much. What a token is, the tokenizer says:
    so perplexities compare models of one tokenizer only.

    Examples:
        >>> losses = pd.DataFrame({"document": ["a", "a", "b"], "loss": [math.log(8)] * 3})
        >>> [round(end, 6) for end in perplexity(losses)]
        [8.0, 8.0, 8.0]
    """
    mean, low, high = clustered_mean_interval(losses["loss"], losses["document"])
    return math.exp(mean), math.exp(low), math.exp(high)


def bits_per_byte(losses: pd.DataFrame, documents: pd.DataFrame) -> tuple[float, float, float]:
    """The bits of all tokens over the UTF-8 bytes of all documents, with its 95% interval over documents.

    Args:
        losses: of a token a row: document, loss.
        documents: of a document a row: document, text; those of the losses and no others.

    Returns:
        `(bits per byte, low, high)`.

    Raises:
        ValueError: if the two tables are not of the same documents.

    Examples:
        >>> documents = pd.DataFrame({"document": ["a", "b"], "text": ["four", "to"]})
        >>> losses = pd.DataFrame({"document": ["a", "a", "b"], "loss": np.log([4, 4, 4])})  # 2 bits a token
        >>> value, low, high = bits_per_byte(losses, documents)
        >>> value
        1.0
    """
    return ratio_interval(_bits(losses, documents), _bytes(documents))


def bits_per_byte_difference(
    losses: pd.DataFrame, others: pd.DataFrame, documents: pd.DataFrame
) -> tuple[float, float, float]:
    """The bits per byte of one model less those of another on the same documents, with its 95% interval.

    The two may have different tokenizers. A hard document is hard for both, so the interval of the difference is
    narrower than those of the two numbers. Arguments and errors are those of `bits_per_byte`.

    Examples:
        >>> documents = pd.DataFrame({"document": ["a", "b"], "text": ["four", "to"]})
        >>> losses = pd.DataFrame({"document": ["a", "a", "b"], "loss": np.log([4, 4, 4])})
        >>> bits_per_byte_difference(losses.assign(loss=losses["loss"] + np.log(2)), losses, documents)[0]
        0.5
    """
    return ratio_interval(_bits(losses, documents) - _bits(others, documents), _bytes(documents))


def _bits(losses: pd.DataFrame, documents: pd.DataFrame) -> np.ndarray:
    """The bits of each document, `(documents,)`."""
    sums = losses.groupby("document", sort=False)["loss"].sum()
    if len(sums) != len(documents) or set(sums.index) != set(documents["document"]):
        raise ValueError(f"losses: they are of {len(sums)} documents, and not of the {len(documents)} in the table")
    return sums.reindex(documents["document"]).to_numpy() / math.log(2)


def _bytes(documents: pd.DataFrame) -> np.ndarray:
    """The UTF-8 bytes of each document, `(documents,)`."""
    return np.array([len(text.encode()) for text in documents["text"]])
