"""What a causal language model expects at each place of a text, and what temperature, top-p and min-p make of it.

The figure computes in the page, with no network: it carries the best logits of each place exactly, and of the rest so
many between which it draws straight lines that each probability is right to about a thousandth. It works with mouse,
touch and keyboard, follows the page's light or dark colours, and has its numbers as tables for paper, and for readers
without script.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from largemodels.figures.interactive import figure_html

EXACT = 64
"""Tokens of each place whose own logits the page has, the likeliest ones."""
KNOTS = 64
"""Ranks behind them whose logits it has; those between two of them are interpolated."""
UNIT = 1e-4  # nats; the page's logits are multiples of it
SHOWN = 20  # bars
DARKEST = 12  # bits of surprise at which the colour is strongest
_SIGNS = {" ": "·", "\n": "↵", "\t": "⇥", "\r": "␍"}


@dataclass(frozen=True)
class NextTokenView:
    """A text under a causal language model; Jupyter and the book show it as the interactive figure.

    Attributes:
        token_ids: the text's tokens, `(tokens,)`.
        logits: what the model gave for each of them before it was read, `(tokens, vocabulary)`: those of a causal model
            that reads a token that begins every text and then these, without the last.
        spell: the text of a token by its id, such as `token_speller(tokenizer)`.
        caption: plain text under the figure.
        start: the place that is chosen before the reader chooses.

    Raises:
        ValueError: when there is no token, or when logits, ids and start do not fit each other.

    Examples:
        >>> print(NextTokenView([1, 0], [[0.0, 0.0, 0.0, 0.0], [2.0, 1.0, 0.0, 0.0]], "abcd".__getitem__))
        b: 2.0 bits, rank 2 of 4; entropy 2.0 bits
        a: 0.7 bits, rank 1 of 4; entropy 1.5 bits
    """

    token_ids: Sequence[int]
    logits: ArrayLike
    spell: Callable[[int], str]
    caption: str = ""
    start: int = 0

    def __post_init__(self) -> None:
        n, logits = len(self.token_ids), np.asarray(self.logits)
        if not n:
            raise ValueError("token_ids: there is no token to show")
        if logits.ndim != 2 or len(logits) != n or logits.shape[1] < 2:
            raise ValueError(f"logits: shape {logits.shape} is not ({n}, vocabulary) for {n} tokens")
        if not np.isfinite(logits).all():
            raise ValueError("logits: some are not finite")
        if wrong := [token for token in self.token_ids if not 0 <= int(token) < logits.shape[1]]:
            raise ValueError(f"token_ids: {int(wrong[0])} is not a token of a vocabulary of {logits.shape[1]}")
        if not 0 <= self.start < n:
            raise ValueError(f"start: {self.start} is not a place from 0 to {n - 1}")

    def __repr__(self) -> str:
        """The surprise of each token, its rank, and the entropy of what was expected, as text."""
        size = np.shape(self.logits)[1]
        return "\n".join(
            f"{row['token']}: {row['bits']:.1f} bits, rank {row['rank']:,} of {size:,}; "
            f"entropy {row['entropy']:.1f} bits"
            for row in self._rows(1)
        )

    def _rows(self, best: int) -> list[dict[str, object]]:
        """What the tables say of each place, from all its logits, with as many of the likeliest tokens as asked for."""
        rows = []
        for token, logits in zip(self.token_ids, np.asarray(self.logits, dtype=float), strict=True):
            log_p = logits - np.logaddexp.reduce(logits)
            order = np.argsort(-logits, kind="stable")
            row = {
                "token": visible(self.spell(int(token))),
                "bits": max(0.0, -log_p[int(token)] / np.log(2)),
                "probability": np.exp(log_p[int(token)]),
                "rank": int(np.flatnonzero(order == int(token))[0]) + 1,
                "entropy": -(np.exp(log_p) * log_p).sum() / np.log(2),
                "best": [(visible(self.spell(int(one))), np.exp(log_p[one])) for one in order[:best]],
            }
            rows.append(row)
        return rows

    def _repr_html_(self) -> str:
        logits, ids = np.asarray(self.logits, dtype=float), np.asarray(self.token_ids, dtype=int)
        ranks = _ranks(logits.shape[1])
        exact = min(EXACT, logits.shape[1])
        order = np.argsort(-logits, axis=1, kind="stable")
        best = order[:, :exact]
        rows = self._rows(5)
        words = {int(token): place for place, token in enumerate(dict.fromkeys([*best.ravel(), *ids]))}
        data = {
            "start": self.start,
            "unit": UNIT,
            "vocabulary": logits.shape[1],
            "knots": _compact(ranks[exact:]),
            "words": "\n".join(visible(self.spell(token)) for token in words),  # none has a line end of its own now
            "best": _compact([[words[int(token)] for token in place] for place in best]),
            "gaps": _compact(_gaps(logits, order[:, ranks])),
            "ranks": _compact(row["rank"] - 1 for row in rows),
            "gap": _compact(_gaps(logits, ids[:, None])[:, 0]),
            "tokens": _compact(words[int(token)] for token in ids),
        }
        return figure_html(
            "next-token-view",
            data,
            Path(__file__).with_name("next_token_view.html").read_text(encoding="utf-8"),
            {"rows": rows, "start": self.start, "darkest": DARKEST, "size": logits.shape[1]},
            caption=self.caption,
            style=Path(__file__).with_name("next_token_view.css").read_text(encoding="utf-8"),
            script=Path(__file__).with_name("next_token_view.js").read_text("utf-8").replace("SHOWN", str(SHOWN)),
        )


def restored_logits(logits: ArrayLike) -> np.ndarray:
    """The logits as the page has them, the largest first and 0: `(..., vocabulary)` again.

    What `softmax(restored_logits(z) / T)` differs by from `softmax(sort(z) / T)` is the error of the figure.
    """
    logits = np.asarray(logits, dtype=float)
    ranks = _ranks(logits.shape[-1])
    rows = logits.reshape(-1, logits.shape[-1])
    gaps = _gaps(rows, np.argsort(-rows, axis=1, kind="stable")[:, ranks])
    every = np.arange(logits.shape[-1])
    return np.stack([np.interp(every, ranks, -UNIT * row) for row in gaps]).reshape(logits.shape)


def _ranks(size: int) -> np.ndarray:
    """The ranks, from 0, whose logits the page has: the first `EXACT`, and knots up to the last of the vocabulary.

    The knots are closest at both ends, where sorted logits fall steeply.
    """
    if size <= EXACT + KNOTS:
        return np.arange(size)
    near, far = np.geomspace(EXACT, size - 1, KNOTS * 3 // 4), size - np.geomspace(1, size / 4, KNOTS // 4)
    knots = np.concatenate([near, far]).round().astype(int)
    return np.union1d(np.arange(EXACT), knots[knots >= EXACT])


def _gaps(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """How far the logits of some tokens of each row are below the row's largest, in units of the page."""
    below = logits.max(1, keepdims=True) - np.take_along_axis(logits, tokens, axis=1)
    return (below / UNIT).round().astype(int)


def _compact(numbers: object) -> str:
    listed = numbers.tolist() if isinstance(numbers, np.ndarray) else list(numbers)
    return json.dumps(listed, separators=(",", ":"))


def visible(text: str) -> str:
    r"""The text with a sign in place of whatever would not be seen: blanks, line ends, controls, marks with no letter.

    Examples:
        >>> visible(" the"), visible("\n    "), visible("\u200b")
        ('·the', '↵····', '⟨U+200B⟩')
    """
    if not text:
        return "⟨nothing⟩"
    shown = "".join(
        _SIGNS.get(sign, f"⟨U+{ord(sign):04X}⟩" if unicodedata.category(sign)[0] in "CZ" else sign) for sign in text
    )
    return "◌" + shown if unicodedata.combining(shown[0]) else shown


def token_speller(tokenizer: PreTrainedTokenizerBase) -> Callable[[int], str]:
    """A function that gives the text of a token by its id, the blank before a word included.

    A token that is a part of a character has no text: its bytes are given in place of it, in hexadecimal digits.
    """
    codes = {sign: byte for byte, sign in bytes_to_unicode().items()}  # of a byte-level vocabulary

    def spell(token: int) -> str:
        text, piece = tokenizer.decode([token]), tokenizer.convert_ids_to_tokens(token)
        if piece is None:  # an output of the model that its tokenizer does not use
            return f"⟨token {token}⟩"
        if "\N{REPLACEMENT CHARACTER}" in text:
            whole = all(sign in codes for sign in piece)
            return "".join(f"⟨{codes[sign]:02X}⟩" for sign in piece) if whole else piece
        if piece.startswith("▁") and not text.startswith(" "):  # SentencePiece's decoder takes the first blank away
            return " " + text
        return text

    return spell
