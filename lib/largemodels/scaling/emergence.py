"""Token accuracy and exact match of the same answers, whose curves look so different (Schaeffer et al. 2023)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from largemodels.base.errors import InputError


def continuations(tokens: pd.DataFrame, length: int, window: int) -> pd.DataFrame:
    """One row for each continuation of `length` tokens: document, right (share of its tokens) and whole.

    There is one from every place on from which a window has so many tokens, so they overlap; those of a document count
    as a cluster. `whole` says whether every token is the likeliest one given the true ones before it. That is the case
    exactly if the model, begun with what stands before and asked greedily, writes all of them: up to its first mistake
    it has read the true text.

    Args:
        tokens: a row for each predicted token, in their order: document and correct, as
            `generation.language_model.token_losses` gives them.
        length: tokens in a continuation.
        window: tokens that are predicted in a whole window, one less than it holds.

    Raises:
        InputError: for a length that no window has.

    Examples:
        >>> tokens = pd.DataFrame({"document": ["a"] * 5, "correct": [True, True, True, False, True]})
        >>> continuations(tokens, length=2, window=5)["whole"].tolist()
        [True, True, False, False]
    """
    if not 1 <= length <= window:
        raise InputError(f"length: {length} is not between 1 and {window}, the tokens of a window")
    place = tokens.groupby("document", sort=False).cumcount().to_numpy()
    from_here = window - place % window  # tokens that are left in the window, if the document goes on
    document = tokens["document"].to_numpy()
    begins, ends = slice(0, max(0, len(tokens) - length + 1)), slice(length - 1, None)
    within = (document[begins] == document[ends]) & (from_here[begins] >= length)
    right_so_far = np.concatenate([[0], np.cumsum(tokens["correct"])])
    right = (right_so_far[length:] - right_so_far[:-length])[within]
    if not len(right):
        raise InputError(f"length: {length} is more than the tokens of any window")
    return pd.DataFrame({"document": document[begins][within], "right": right / length, "whole": right == length})
