"""Attention weights that a reader can ask about: point at a word and see where it looks.

The figure is one piece of HTML with its own style and a few lines of script. It needs no network and no other
file, works with mouse, touch and keyboard, follows the page's light or dark colours, and carries its numbers
as tables for readers without script or sight.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_STYLE = """
.attention-view { margin: 1rem 0; --shade: 86 180 233; --ring: #0072b2; color: inherit; }
html[data-theme="dark"] .attention-view, body[data-jp-theme-light="false"] .attention-view
  { --shade: 0 114 178; --ring: #56b4e9; }
.attention-view button { font: inherit; color: inherit; background: transparent; cursor: pointer;
  border: 1px solid rgb(128 128 128 / .45); border-radius: .4rem; }
.attention-view button:focus-visible { outline: 3px solid var(--ring); outline-offset: 2px; }
.attention-view .heads { display: flex; flex-wrap: wrap; gap: .4rem; margin-bottom: .7rem; }
.attention-view .heads button { padding: .2rem .7rem; font-size: .9em; }
.attention-view .heads button[aria-pressed="true"] { border-color: var(--ring); box-shadow: inset 0 -3px var(--ring); }
.attention-view .words { display: flex; flex-wrap: wrap; gap: .35rem; }
.attention-view .words button { padding: .3rem .55rem; line-height: 1.25; text-align: center;
  background: rgb(var(--shade) / min(.95, var(--weight) * 1.5)); }
.attention-view .words button.looks { border-color: var(--ring); box-shadow: 0 0 0 2px var(--ring); }
.attention-view .words small { display: block; font-weight: 400; font-variant-numeric: tabular-nums; opacity: .85; }
.attention-view .says { min-height: 1.6em; margin: .6rem 0; }
.attention-view .scroll { overflow-x: auto; }
.attention-view table { font-size: .8em; border-collapse: collapse; width: auto; margin: .3rem 0; }
.attention-view caption { caption-side: top; text-align: left; color: inherit; font-weight: 600; }
.attention-view td, .attention-view th { padding: .1rem .4rem; text-align: right; }
.attention-view figcaption { font-size: .9em; opacity: .9; margin-top: .5rem; }
"""

_SCRIPT = """
(function () {
  document.querySelectorAll('#ID:not([data-ready])').forEach(function (view) {
    view.setAttribute('data-ready', '');
    var heads = JSON.parse(view.dataset.heads), headNames = Object.keys(heads);
    var headButtons = Array.from(view.querySelectorAll('.heads button'));
    var words = Array.from(view.querySelectorAll('.words button')), says = view.querySelector('.says');
    var head = headNames[0], chosen = Number(view.dataset.start);
    function percent(weight) { return Math.round(100 * weight) + '%'; }
    function show(from) {
      var weights = heads[head][from];
      words.forEach(function (word, to) {
        word.style.setProperty('--weight', weights[to]);
        word.classList.toggle('looks', to === from);
        word.setAttribute('aria-pressed', String(to === chosen));
        word.querySelector('small').textContent = percent(weights[to]);
      });
      var order = weights.map(function (_, to) { return to; });
      order.sort(function (a, b) { return weights[b] - weights[a]; });
      var most = order.slice(0, 3).filter(function (to) { return weights[to] >= 0.005; });
      says.textContent = '“' + words[from].dataset.word + '” looks at ' + (most.map(function (to) {
        return words[to].dataset.word + ' ' + percent(weights[to]); }).join(', ') || 'nothing') + '.';
    }
    words.forEach(function (word, at) {
      word.addEventListener('pointerenter', function () { show(at); });
      word.addEventListener('pointerleave', function () { show(chosen); });
      word.addEventListener('focus', function () { chosen = at; show(at); });
      word.addEventListener('click', function () { chosen = at; show(at); });
      word.addEventListener('keydown', function (event) {
        var step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (step && words[at + step]) { event.preventDefault(); words[at + step].focus(); }
      });
    });
    headButtons.forEach(function (button, at) {
      button.addEventListener('click', function () {
        head = headNames[at];
        headButtons.forEach(function (other) { other.setAttribute('aria-pressed', String(other === button)); });
        show(chosen);
      });
    });
    show(chosen);
  });
})();
"""


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
        content = json.dumps([list(self.words), rounded, self.caption, self.start])
        identity = "attention-view-" + hashlib.sha256(content.encode()).hexdigest()[:12]  # the same in every run
        first = next(iter(rounded.values()))[self.start]
        data = html.escape(json.dumps(rounded))
        parts = [
            f'<figure class="attention-view" id="{identity}" data-start="{self.start}" data-heads="{data}">',
            f"<style>{_STYLE}</style>",
            _head_buttons(list(rounded)),
            _word_buttons(self.words, first, self.start),
            '<p class="says" role="status"></p>',
            '<details><summary>All weights as tables</summary><div class="scroll">',
            *(_table(name, self.words, weights) for name, weights in rounded.items()),
            "</div></details>",
            f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else "",
            f"<script>{_SCRIPT.replace('ID', identity, 1)}</script></figure>",
        ]
        return "\n".join(parts)


def _head_buttons(names: Sequence[str]) -> str:
    buttons = (
        f'<button type="button" aria-pressed="{str(place == 0).lower()}">{html.escape(name)}</button>'
        for place, name in enumerate(names)
    )
    return f'<div class="heads" role="group" aria-label="Head">{"".join(buttons)}</div>'


def _word_buttons(words: Sequence[str], weights: Sequence[float], start: int) -> str:
    buttons = []
    for place, (word, weight) in enumerate(zip(words, weights, strict=True)):
        state = f'class="{"looks" if place == start else ""}" aria-pressed="{str(place == start).lower()}"'
        shown = html.escape(word)
        buttons.append(
            f'<button type="button" {state} data-word="{shown}" style="--weight:{weight}">{shown}'
            f'<small aria-hidden="true">{weight:.0%}</small></button>'
        )
    return f'<div class="words" role="group" aria-label="The word that looks">{"".join(buttons)}</div>'


def _table(name: str, words: Sequence[str], weights: Sequence[Sequence[float]]) -> str:
    header = "".join(f'<th scope="col">{html.escape(word)}</th>' for word in words)
    rows = []
    for word, row in zip(words, weights, strict=True):
        cells = "".join(f"<td>{weight:.2f}</td>" for weight in row)
        rows.append(f'<tr><th scope="row">{html.escape(word)}</th>{cells}</tr>')
    return (
        f"<table><caption>{html.escape(name)}</caption><thead><tr><td></td>{header}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
