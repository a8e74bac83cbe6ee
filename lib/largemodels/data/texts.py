"""The text of an example, and its words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

WORDS = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words and numbers of a text in small letters, without punctuation."""
    return WORDS.findall(text.casefold())


def joined_texts(examples: pd.DataFrame, separator: str = " ") -> pd.Series:
    """The text of each example; of a pair both texts, with the separator between them."""
    return examples["text"] + separator + examples["text_pair"] if "text_pair" in examples else examples["text"]
