"""Can my test set tell these two models apart? A calculator that works in a built page and in JupyterLab.

It is one piece of HTML with its own style and a script: `comparisons.paired_power`, by the same exact enumeration, in
JavaScript. It needs no network and no other file, works with keyboard and mouse, follows the page's light or dark
colours, and carries the comparisons that it offers as a table for readers without script.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass

from largemodels.statistics.comparisons import paired_power, smallest_difference

MOST = 100_000  # examples that a browser still enumerates within a second

_STYLE = """
.power-calculator { margin: 1rem 0; --ring: #0072b2; color: inherit; }
html[data-theme="dark"] .power-calculator, body[data-jp-theme-light="false"] .power-calculator { --ring: #56b4e9; }
.power-calculator button, .power-calculator input { font: inherit; color: inherit; background: transparent;
  border: 1px solid rgb(128 128 128 / .6); border-radius: .4rem; }
.power-calculator button:focus-visible, .power-calculator input:focus-visible
  { outline: 3px solid var(--ring); outline-offset: 2px; }
.power-calculator .offered { display: flex; flex-wrap: wrap; gap: .4rem; margin-bottom: .8rem; }
.power-calculator .offered button { padding: .2rem .7rem; font-size: .9em; cursor: pointer; }
.power-calculator .fields { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .8rem; }
.power-calculator label { display: flex; flex-direction: column; justify-content: space-between; font-size: .9em; }
.power-calculator input { width: 100%; padding: .25rem .5rem; margin-top: .2rem; font-variant-numeric: tabular-nums;
  color-scheme: light dark; }
.power-calculator input[aria-invalid="true"] { border: 2px solid #d55e00; }
.power-calculator .says { margin: .9rem 0; padding: .1rem 0 .1rem .8rem; border-left: .25rem solid var(--ring);
  min-height: 3.2em; }
.power-calculator .says strong { font-variant-numeric: tabular-nums; }
.power-calculator .scroll { overflow-x: auto; }
.power-calculator table { font-size: .85em; border-collapse: collapse; width: auto; margin: .3rem 0; }
.power-calculator td, .power-calculator th { padding: .1rem .6rem; text-align: right; background: transparent;
  color: inherit; }
.power-calculator td:first-child, .power-calculator th:first-child { text-align: left; }
.power-calculator figcaption { font-size: .9em; color: inherit; text-align: left; margin: .5rem 0 0; }
"""

_SCRIPT = """
(function () {
  function logFactorial(k) {
    if (k < 20) { var product = 1; for (var i = 2; i <= k; i++) product *= i; return Math.log(product); }
    return (k + 0.5) * Math.log(k) - k + 0.5 * Math.log(2 * Math.PI)
      + 1 / (12 * k) - 1 / (360 * Math.pow(k, 3)) + 1 / (1260 * Math.pow(k, 5));
  }
  function binomial(k, trials, chance) {  // the chance of exactly k
    if (chance <= 0) return k === 0 ? 1 : 0;
    if (chance >= 1) return k === trials ? 1 : 0;
    return Math.exp(logFactorial(trials) - logFactorial(k) - logFactorial(trials - k)
      + k * Math.log(chance) + (trials - k) * Math.log1p(-chance));
  }
  function atMost(most, trials, chance) {  // the chance of no more than `most`
    if (most < 0) return 0;
    if (most >= trials || chance <= 0) return 1;
    if (chance >= 1) return 0;
    var odds = chance / (1 - chance), start = Math.min(most, Math.floor((trials + 1) * chance));
    var first = binomial(start, trials, chance), sum = first, term = first;
    for (var k = start; k > 0 && term > 1e-18 * sum; k--) { term *= k / ((trials - k + 1) * odds); sum += term; }
    term = first;
    for (k = start + 1; k <= most && term > 1e-18 * sum; k++) { term *= (trials - k + 1) * odds / k; sum += term; }
    return Math.min(1, sum);
  }
  function pairs(n, share, alpha) {  // each likely number of discordant pairs, its chance, and where the test rejects
    var mode = Math.min(n, Math.floor((n + 1) * share)), first = mode, last = mode, found = [];
    while (first > 0 && binomial(first - 1, n, share) > 1e-15) first--;
    while (last < n && binomial(last + 1, n, share) > 1e-15) last++;
    var quantile = Math.floor(first / 2), tie = 1e-12;  // the smallest count that is as likely as alpha / 2
    while (quantile > 0 && atMost(quantile - 1, first, 0.5) >= alpha / 2 * (1 - tie)) quantile--;
    for (var d = first; d <= last; d++) {
      while (atMost(quantile, d, 0.5) < alpha / 2 * (1 - tie)) quantile++;
      var midP = atMost(quantile - 1, d, 0.5) + atMost(quantile, d, 0.5);
      found.push([d, binomial(d, n, share), midP > alpha * (1 + tie) ? quantile - 1 : quantile]);
    }
    return found;
  }
  function power(discordant, share, difference) {
    var better = (1 + Math.min(1, difference / share)) / 2, sum = 0;
    discordant.forEach(function (one) {
      sum += one[1] * (atMost(one[2], one[0], better) + atMost(one[2], one[0], 1 - better));
    });
    return Math.min(1, sum);
  }
  function smallest(discordant, share, wanted) {
    if (power(discordant, share, share) < wanted) return null;
    var low = 0, high = share;
    if (power(discordant, share, 0) >= wanted) return 0;
    for (var step = 0; step < 45; step++) {
      var middle = (low + high) / 2;
      if (power(discordant, share, middle) < wanted) low = middle; else high = middle;
    }
    return high;
  }
  document.querySelectorAll('#ID:not([data-ready])').forEach(function (calculator) {
    calculator.setAttribute('data-ready', '');
    var says = calculator.querySelector('.says'), wanted = Number(calculator.dataset.power);
    var fields = {};
    calculator.querySelectorAll('input').forEach(function (input) { fields[input.name] = input; });
    function refuse(name, sentence) {
      fields[name].setAttribute('aria-invalid', 'true');
      says.textContent = sentence;
      delete says.dataset.value; delete says.dataset.smallest;
    }
    function percent(chance) { return (100 * chance).toFixed(chance < 0.1 ? 1 : 0) + '%'; }
    function strong(text) {
      var made = document.createElement('strong'); made.textContent = text; return made;
    }
    function show() {
      var n = fields.n.valueAsNumber, share = fields.discordant.valueAsNumber / 100;
      var difference = Math.abs(fields.difference.valueAsNumber) / 100, alpha = fields.alpha.valueAsNumber;
      Object.keys(fields).forEach(function (name) { fields[name].setAttribute('aria-invalid', 'false'); });
      if (!(n >= 1 && n <= MOST && n === Math.floor(n)))
        return refuse('n', 'The test set has a whole number of examples, from 1 to MOST.');
      if (!(share > 0 && share <= 1))
        return refuse('discordant', 'The share of discordant pairs is above 0% and at most 100%.');
      if (!(difference <= share))
        return refuse('difference', 'The difference is at most the share of discordant pairs, where they differ.');
      if (!(alpha > 0 && alpha < 1)) return refuse('alpha', 'The level is between 0 and 1.');
      var discordant = pairs(n, share, alpha), chance = power(discordant, share, difference);
      var least = smallest(discordant, share, wanted);
      says.dataset.value = chance;
      says.dataset.smallest = least === null ? '' : least;
      says.textContent = 'The test finds this difference with a chance of ';
      says.append(strong(percent(chance)), '. ');
      if (least === null) says.append('No difference between these models is found with a chance of ' + percent(wanted)
        + ': the test set is too small.');
      else says.append('The smallest difference that it finds with a chance of ' + percent(wanted) + ' is ',
        strong((100 * least).toFixed(2) + ' points'), ', ' + (n * least).toFixed(0) + ' of ' + n + ' examples.');
    }
    calculator.querySelectorAll('.offered button').forEach(function (button) {
      button.addEventListener('click', function () {
        var filled = JSON.parse(button.dataset.values);
        Object.keys(filled).forEach(function (name) { fields[name].value = filled[name]; });
        show();
      });
    });
    Object.keys(fields).forEach(function (name) { fields[name].addEventListener('input', show); });
    show();
  });
})();
""".replace("MOST", str(MOST))


@dataclass(frozen=True)
class Comparison:
    """Two models on one test set: what the power of McNemar's test depends on.

    Attributes:
        n: examples.
        discordant_share: the share of them that exactly one of the two gets right.
        difference: of the accuracies, as a share.
    """

    n: int
    discordant_share: float
    difference: float


@dataclass(frozen=True)
class PowerCalculator:
    """Asks for a test set and two models and says what McNemar's test (mid-p) would find; shown as HTML.

    Attributes:
        comparisons: what a click fills in, by name; the first is filled in from the start.
        alpha: the level of the test, from the start.
        power: the chance that the smallest difference is said for.
        caption: plain text under it.

    Raises:
        ValueError: when there is no comparison, or one that cannot be.
    """

    comparisons: Mapping[str, Comparison]
    alpha: float = 0.05
    power: float = 0.8
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.comparisons:
            raise ValueError("comparisons: there is none to fill in")
        for name, comparison in self.comparisons.items():
            if comparison.n > MOST:
                raise ValueError(f"comparisons: {name} has {comparison.n} examples, more than the {MOST} of the page")
            self.found(comparison)

    def found(self, comparison: Comparison) -> tuple[float, float | None]:
        """The power, and the smallest difference with the wanted power, or None where there is none."""
        power = paired_power(comparison.n, comparison.discordant_share, comparison.difference, self.alpha)
        try:
            least = smallest_difference(comparison.n, comparison.discordant_share, self.power, self.alpha)
        except ValueError:  # so few examples never give that power
            least = None
        return power, least

    def __repr__(self) -> str:
        """What is found in each comparison, as text."""
        return "\n".join(f"{name}: {self._sentence(comparison)}" for name, comparison in self.comparisons.items())

    def _sentence(self, comparison: Comparison) -> str:
        power, least = self.found(comparison)
        smallest = "none" if least is None else f"{100 * least:.2f} points"
        return (
            f"n = {comparison.n}, {comparison.discordant_share:.1%} discordant, difference "
            f"{100 * comparison.difference:.2f} points: power {power:.2f}, smallest difference {smallest}"
        )

    def _repr_html_(self) -> str:
        values = {name: self._values(comparison) for name, comparison in self.comparisons.items()}
        content = json.dumps([values, self.power, self.caption])
        identity = "power-calculator-" + hashlib.sha256(content.encode()).hexdigest()[:12]  # the same in every run
        first = next(iter(self.comparisons.values()))
        parts = [
            f'<figure class="power-calculator" id="{identity}" data-power="{self.power}">',
            f"<style>{_STYLE}</style>",
            self._buttons(values),
            self._fields(self._values(first)),
            f'<p class="says" role="status">{html.escape(self._sentence(first))}</p>',
            "<details><summary>What is offered, as a table</summary>",
            f'<div class="scroll">{self._table()}</div></details>',
            f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else "",
            f"<script>{_SCRIPT.replace('ID', identity, 1)}</script></figure>",
        ]
        return "\n".join(parts)

    def _values(self, comparison: Comparison) -> dict[str, float]:
        return {
            "n": comparison.n,
            "discordant": float(f"{100 * comparison.discordant_share:.4g}"),
            "difference": float(f"{100 * abs(comparison.difference):.4g}"),
            "alpha": self.alpha,
        }

    def _buttons(self, values: Mapping[str, Mapping[str, float]]) -> str:
        buttons = (
            f'<button type="button" data-values="{html.escape(json.dumps(filled))}">{html.escape(name)}</button>'
            for name, filled in values.items()
        )
        return f'<div class="offered" role="group" aria-label="Fill in">{"".join(buttons)}</div>'

    def _fields(self, values: Mapping[str, float]) -> str:
        said = {
            "n": ("examples in the test set", f'min="1" max="{MOST}" step="1"'),
            "discordant": ("discordant pairs, % of them", 'min="0" max="100" step="any"'),
            "difference": ("difference of accuracy, points", 'min="0" max="100" step="any"'),
            "alpha": ("level of the test, α", 'min="0" max="1" step="any"'),
        }
        fields = (
            f'<label>{label}<input type="number" name="{name}" value="{_neat(values[name])}" {limits} required></label>'
            for name, (label, limits) in said.items()
        )
        return f'<div class="fields">{"".join(fields)}</div>'

    def _table(self) -> str:
        header = ("comparison", "examples", "discordant", "difference", "power", "smallest difference")
        rows = []
        for name, comparison in self.comparisons.items():
            power, least = self.found(comparison)
            cells = (
                f"{comparison.n:,}",
                f"{comparison.discordant_share:.1%}",
                f"{100 * comparison.difference:.2f} points",
                f"{power:.2f}",
                "none" if least is None else f"{100 * least:.2f} points",
            )
            shown = "".join(f"<td>{cell}</td>" for cell in cells)
            rows.append(f'<tr><th scope="row">{html.escape(name)}</th>{shown}</tr>')
        columns = "".join(f'<th scope="col">{name}</th>' for name in header)
        return f"<table><thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _neat(value: float) -> str:
    """A number as people write it: 5, not 5.0."""
    return str(value).removesuffix(".0")
