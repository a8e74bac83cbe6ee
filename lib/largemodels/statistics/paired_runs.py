"""Runs compared pair by pair: each model of a run with the same model of another run, on the examples of both.

`largemodels.data.predictions` is the format of the answers, `largemodels.statistics.comparisons` has the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from largemodels.statistics.comparisons import adjusted_p, mcnemar, paired_bootstrap

_RESAMPLES = 2000  # of the interval of each pair
_KNOWN_BY = ["example", "label", "occurrence"]  # the same in both answers of a pair

Tables = Mapping[str, pd.DataFrame]
"""A run's tables of predictions, by the names of their files."""


@dataclass(frozen=True)
class Pair:
    """One model of one run beside the same model of the first run."""

    run: int  #: the place of the other run; that of the first run is 0
    file: str  #: the name of the file that both runs keep the answers in
    model: str  #: the model's name
    n: int  #: examples that both answered
    right_first: int  #: those of them that the first run's model got right
    right: int  #: those that the other run's model got right
    only_first: int  #: those that only the first run's model got right
    only_other: int  #: those that only the other run's model got right
    difference: float  #: of the accuracies, the other run's less the first run's
    #: the lower end of its 95% interval; None where no example, or only one document, tells the two apart
    low: float | None
    high: float | None  #: the upper end
    p: float  #: of McNemar's exact test, which takes the examples as independent
    mid_p: float  #: its mid-p value
    p_holm: float  #: p adjusted for all pairs of the comparison
    documents: int | None  #: of the examples, drawn as a whole for the interval; None where the answers name none


def compare_runs(first: Tables, others: Sequence[Tables]) -> list[Pair]:
    """Each model of each other run compared with its counterpart in the first run, in the order of the runs.

    Two answers are a pair where file, model, example and label are the same; of a text that stands twice in a file, the
    first answers are a pair and the second ones. Models without a counterpart, or without a common example, are left
    out. The interval is that of the paired bootstrap over documents, or over examples that name none.
    """
    pairs = [pair for place, other in enumerate(others, 1) for pair in _pairs(place, first, other)]
    adjusted = adjusted_p([pair.p for pair in pairs])
    return [replace(pair, p_holm=float(p)) for pair, p in zip(pairs, adjusted, strict=True)]


def _pairs(place: int, first: Tables, other: Tables) -> Iterator[Pair]:
    for file in [file for file in first if file in other]:
        ones, others = _answers(first[file]), _answers(other[file])
        for model in ones:
            if model in others and len(both := ones[model].merge(others[model], on=_KNOWN_BY, suffixes=("", "_other"))):
                yield _pair(place, file, model, both)


def _answers(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each model's right and wrong answers, with the document of each and the columns that tell examples apart."""
    names = ["model", "example", "label"]
    table = table[[*names, "right", *(["document"] if "document" in table else [])]].astype(dict.fromkeys(names, str))
    table["occurrence"] = table.groupby(names).cumcount()
    return {str(model): answers for model, answers in table.groupby("model", sort=False)}


def _pair(place: int, file: str, model: str, both: pd.DataFrame) -> Pair:
    right_first, right = both["right"].to_numpy(), both["right_other"].to_numpy()
    test = mcnemar(right, right_first)
    clusters = _clusters(both["document"]) if "document" in both else None
    documents = None if clusters is None else len(np.unique(clusters))
    low = high = None
    if test.only_a + test.only_b and (len(both) if documents is None else documents) > 1:
        drawn = paired_bootstrap(right, right_first, clusters=clusters, resamples=_RESAMPLES)
        low, high = drawn.low, drawn.high
    return Pair(
        run=place,
        file=file,
        model=model,
        n=len(both),
        right_first=int(right_first.sum()),
        right=int(right.sum()),
        only_first=test.only_b,
        only_other=test.only_a,
        difference=test.difference,
        low=low,
        high=high,
        p=test.p,
        mid_p=test.mid_p,
        p_holm=test.p,
        documents=documents,
    )


def _clusters(documents: pd.Series) -> np.ndarray:
    """A number for each document; an example without one stands for itself."""
    numbers, _ = pd.factorize(documents.map(str, na_action="ignore"))
    alone = numbers < 0
    return np.where(alone, len(numbers) + np.arange(len(numbers)), numbers)
