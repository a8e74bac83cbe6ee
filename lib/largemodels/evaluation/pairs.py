"""Tables of predictions made ready to be judged, and every pair of their models compared.

`largemodels.data.predictions` is the format, `largemodels.statistics.comparisons` has the tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from largemodels.base.errors import InputError
from largemodels.data.predictions import COLUMNS, LOG_P, class_names, log_probabilities_in
from largemodels.statistics.comparisons import (
    adjusted_p,
    mcnemar,
    paired_bootstrap,
    paired_permutation,
    paired_power,
    smallest_difference,
)


def judged(table: pd.DataFrame, *, models: int = 2, probabilities: bool = True) -> pd.DataFrame:
    """The predictions of several models that can be compared, sorted by model, seed and example.

    Only examples that every model answered with each of its seeds are kept, each once (a text that stands
    twice in a test set is one example), so that all models and seeds have the same examples in the same order. A table
    without the column `seed` is of seed 0; in one without `document` each example is a document.

    Args:
        table: predictions, as `largemodels.data.predictions` reads them.
        models: how many there must be.
        probabilities: whether they must have log-probabilities of two or more classes.

    Raises:
        InputError: for fewer models or classes, labels or log-probabilities that do not fit the classes,
            a model that answers one example in two ways, or no example that all answered.
    """
    if table.empty:
        raise InputError("predictions: the table has no rows")
    if missing := [column for column in COLUMNS if table[column].isna().any()]:
        raise InputError(f"predictions: a row has no {missing[0]}")
    table = _with_probabilities(table) if probabilities or class_names(table) else table
    seed, document = table.get("seed", 0), table.get("document", table["example"])
    table = table.assign(seed=seed, document=document, right=table["right"].astype(bool))
    run = ["model", "seed"]
    table = table.drop_duplicates([*run, "example", "answer"])
    if (twice := table.duplicated([*run, "example"])).any():
        row = table[twice].iloc[0]
        raise InputError(
            f"predictions: {row['model']} answers an example in two ways with seed {row['seed']}; "
            "give one run of each model and seed"
        )
    names = table["model"].unique()
    if len(names) < models:
        raise InputError(f"predictions: {' '.join(map(str, names))} is one model only; a comparison needs two")
    answers = table.groupby("example")["model"].transform("size")
    table = table[answers == len(table.drop_duplicates(run))]
    if table.empty:
        raise InputError("predictions: there is no example that every model was asked about with every seed")
    return table.sort_values([*run, "example"], kind="stable").reset_index(drop=True)


def _with_probabilities(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its log-probabilities in double precision, once labels and answers have some that are numbers."""
    classes = class_names(table)
    if len(classes) < 2:
        raise InputError(f"predictions: {len(classes)} classes have log-probabilities; two or more are needed")
    if unknown := sorted({*table["label"].astype(str), *table["answer"].astype(str)} - set(classes)):
        raise InputError(f"predictions: {unknown[0]} has no log-probabilities; there are those of {', '.join(classes)}")
    table = table.astype({f"{LOG_P}{name}": np.float64 for name in classes})  # they are kept with three digits
    if not np.isfinite(log_probabilities_in(table)).all():
        raise InputError("predictions: not all log-probabilities are finite numbers")
    return table


def classes_of(table: pd.DataFrame) -> list[str]:
    """The classes of predictions, in the order of the log-probabilities, or without any of the alphabet."""
    return list(class_names(table)) or sorted({*table["label"], *table["answer"]})


def resolution(n: int, discordant_share: float, difference: float) -> tuple[float, float] | None:
    """What `n` examples resolve of two models: `(smallest difference with a power of 80%, power for this difference)`.

    None where the models agree everywhere, so that nothing can be resolved; the smallest difference is NaN where so few
    examples never give that power.

    Args:
        n: examples.
        discordant_share: of them, the share that one model alone gets right.
        difference: of the accuracies, as a share.
    """
    if not discordant_share:
        return None
    try:
        smallest = smallest_difference(n, discordant_share)
    except ValueError:
        smallest = math.nan
    return smallest, paired_power(n, discordant_share, difference)


def answers_of(table: pd.DataFrame, model: str) -> pd.DataFrame:
    """One model's answers with its first seed, a row an example, in the order of all others.

    Raises:
        InputError: for a model that is not there.
    """
    answers = table[table["model"] == model]
    if answers.empty:
        raise InputError(f"there is no model {model}; there is {', '.join(table['model'].unique())}")
    return answers[answers["seed"] == answers["seed"].min()].reset_index(drop=True)


def all_pairs(table: pd.DataFrame, *, resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Every pair of models of a table, each with its first seed, compared by `pairs_of`: one row a pair.

    The table is as `judged` gives it.
    """
    answers = {model: answers_of(table, model) for model in table["model"].unique()}
    documents = next(iter(answers.values()))["document"].to_numpy()
    right = {model: rows["right"].to_numpy() for model, rows in answers.items()}
    return pairs_of(right, documents, resamples=resamples, seed=seed)


def pairs_of(
    right: Mapping[str, np.ndarray], documents: ArrayLike, *, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Every pair of models compared on the same examples: one row a pair, the smallest p of the permutation test first.

    Columns: `better` and `other`, by accuracy; `difference` of the accuracies, with the ends `low` and `high` of its
    interval by paired bootstrap over documents; the p values `mcnemar` (mid-p; examples taken as independent),
    `bootstrap` and `permutation` (documents drawn, or flipped, as a whole); and for all pairs together `holm` and `bh`,
    the permutation test's adjusted by either correction, and `mcnemar_holm` (`comparisons.adjusted_p`).

    Args:
        right: by the name of each model `(n,)`, bool: whether it gets each example right.
        documents: `(n,)`, that of each example.
        resamples: of each bootstrap, and of each permutation test.
        seed: of the draws.

    Examples:
        >>> right = {"good": np.ones(40, bool), "bad": np.arange(40) >= 12, "worse": np.arange(40) >= 13}
        >>> pairs_of(right, documents=np.arange(40), resamples=200)[["better", "other", "difference"]]
          better  other  difference
        0   good  worse       0.325
        1   good    bad       0.300
        2    bad  worse       0.025
    """
    names = sorted(right, key=lambda model: -right[model].mean())
    rows = []
    for better, other in combinations(names, 2):
        first, second = right[better], right[other]
        drawn = {"clusters": documents, "resamples": resamples, "seed": seed}
        bootstrap = paired_bootstrap(first, second, **drawn)
        permutation = paired_permutation(first, second, **drawn)
        row = {"better": better, "other": other, "difference": bootstrap.difference}
        row |= {"low": bootstrap.low, "high": bootstrap.high, "mcnemar": mcnemar(first, second).mid_p}
        rows.append(row | {"bootstrap": bootstrap.p, "permutation": permutation.p})
    pairs = pd.DataFrame(rows)
    pairs = pairs.assign(
        holm=adjusted_p(pairs["permutation"], "holm"),
        bh=adjusted_p(pairs["permutation"], "benjamini-hochberg"),
        mcnemar_holm=adjusted_p(pairs["mcnemar"], "holm"),
    )
    return pairs.sort_values(["permutation", "difference"], ascending=[True, False], ignore_index=True)
