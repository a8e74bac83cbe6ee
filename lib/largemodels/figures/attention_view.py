"""Attention weights that a reader can ask about: point at a word and see where it looks.

The figure works with mouse, touch and keyboard, follows the page's light or dark colours, and carries its numbers as
tables for readers without script or sight.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from largemodels.figures.interactive import figure_html


@dataclass(frozen=True)
class AttentionView:
    """One sentence under one or several heads; Jupyter and the book show it as the interactive figure.

    Attributes:
        words: the sentence, one entry for each position.
        heads: the name of each head with its weights, `(words, words)`; row i is where word i looks.
        caption: plain text under the figure.
        start: the position that is chosen before the reader chooses.

    Raises:
        ValueError: when there is no word or no head, or when weights do not fit the words.
    """

    words: Sequence[str]
    heads: Mapping[str, ArrayLike]
    caption: str = ""
    start: int = 0

    def __post_init__(self) -> None:
        n = len(self.words)
        if not n or not self.heads:
            raise ValueError(f"an attention view needs words and heads: there are {n} and {len(self.heads)}")
        if not 0 <= self.start < n:
            raise ValueError(f"start: {self.start} is not a position from 0 to {n - 1}")
        for name, weights in self.heads.items():
            if np.shape(weights) != (n, n):
                raise ValueError(f"heads: {name!r} has shape {np.shape(weights)}, and {n} words need ({n}, {n})")
            if not np.isfinite(np.asarray(weights)).all():
                raise ValueError(f"heads: {name!r} has weights that are not finite")

    def __repr__(self) -> str:
        """Where each word looks most under each head, as text."""
        lines = []
        for name, weights in self.heads.items():
            lines.append(f"{name}:")
            for word, row in zip(self.words, np.asarray(weights), strict=True):
                lines.append(f"  {word} → {self.words[int(row.argmax())]} {row.max():.0%}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rounded = {name: np.asarray(weights, dtype=float).round(3).tolist() for name, weights in self.heads.items()}
        values = {"words": self.words, "heads": rounded, "first": next(iter(rounded.values())), "start": self.start}
        return figure_html(
            "attention-view",
            {"start": self.start, "heads": json.dumps(rounded)},
            Path(__file__).with_name("attention_view.html").read_text(encoding="utf-8"),
            values,
            caption=self.caption,
            style=Path(__file__).with_name("attention_view.css").read_text(encoding="utf-8"),
            script=Path(__file__).with_name("attention_view.js").read_text(encoding="utf-8"),
        )
