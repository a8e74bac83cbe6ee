"""Power laws come back from the points that they make, and say how sure that is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from largemodels.base.errors import InputError
from largemodels.scaling.laws import (
    DELTA,
    PowerLaw,
    fit_power_law,
    fit_with_interval,
    frontier,
    isoflop_minimum,
    resampled_models,
)

SIZES = np.geomspace(1e4, 1e7, 8)


def noisy(law: PowerLaw, sizes: np.ndarray, deviation: float, seed: int = 0) -> np.ndarray:
    return law(sizes) * np.exp(np.random.default_rng(seed).normal(0, deviation, len(sizes)))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 0.6), st.floats(0.5, 50), st.floats(1e-6, 1e6))
def test_a_line_in_the_logarithms_comes_back_in_any_unit(exponent, coefficient, unit):
    law = PowerLaw(coefficient, exponent)
    found = fit_power_law(SIZES * unit, law(SIZES), irreducible=False)
    assert found.exponent == pytest.approx(exponent, rel=1e-3)
    assert found(SIZES * unit) == pytest.approx(law(SIZES), rel=1e-3)
    assert found.irreducible == 0


@pytest.mark.parametrize("law", [PowerLaw(400, 0.4, 1.7), PowerLaw(20, 0.15, 1.0), PowerLaw(2000, 0.6, 3.0)])
def test_the_irreducible_loss_comes_back_too(law):
    found = fit_power_law(SIZES, law(SIZES))
    assert found.irreducible == pytest.approx(law.irreducible, rel=0.02)
    assert found.exponent == pytest.approx(law.exponent, rel=0.02)


def test_no_other_search_finds_a_smaller_huber_loss():
    losses = noisy(PowerLaw(400, 0.4, 1.7), SIZES, 0.01)

    def huber(numbers):
        level, exponent, floor = numbers
        error = np.abs(np.log(np.exp(level - exponent * np.log(SIZES)) + np.exp(floor)) - np.log(losses))
        return np.where(error < DELTA, error**2 / 2, DELTA * (error - DELTA / 2)).sum()

    law = fit_power_law(SIZES, losses)
    ours = huber([np.log(law.coefficient), law.exponent, np.log(law.irreducible)])
    bounds = [(-2, 12), (0, 2), (np.log(losses.min() * 1e-3), np.log(losses.min()))]
    theirs = optimize.differential_evolution(huber, bounds, rng=0, maxiter=300, tol=1e-10).fun
    assert ours <= theirs * 1.01


def test_a_model_that_went_wrong_moves_the_law_less_than_it_moves_least_squares():
    law = PowerLaw(20, 0.2)
    losses = law(SIZES)
    losses[5] *= 1.5
    least_squares = -np.polyfit(np.log(SIZES), np.log(losses), 1)[0]
    robust = fit_power_law(SIZES, losses, irreducible=False).exponent
    assert abs(robust - 0.2) < 0.002 < abs(least_squares - 0.2)


def test_without_an_irreducible_loss_the_exponent_is_smaller_where_there_is_one():
    losses = PowerLaw(400, 0.4, 1.7)(SIZES)
    assert fit_power_law(SIZES, losses, irreducible=False).exponent < fit_power_law(SIZES, losses).exponent


def test_intervals_hold_the_law_and_widen_with_the_noise():
    sizes, law = np.repeat(SIZES, 3), PowerLaw(20, 0.2)
    widths = []
    for deviation in (0.002, 0.02):
        fitted = fit_with_interval(sizes, noisy(law, sizes, deviation), irreducible=False, resamples=60)
        value, low, high = fitted.interval(lambda each: each.exponent)
        assert low <= value <= high
        assert low < law.exponent < high
        widths.append(high - low)
    assert widths[1] > 3 * widths[0]


def test_resamples_draw_sizes_and_runs_within_them_and_at_least_four_sizes():
    sizes = np.array([1, 1, 1, 2, 3, 4, 5, 5])
    drawn = [sizes[rows] for rows in resampled_models(sizes, 200)]
    assert min(len(np.unique(each)) for each in drawn) == 4
    counts = np.array([[np.sum(each == size) for size in range(1, 6)] for each in drawn])
    assert (counts[:, 0] % 3 == 0).all()
    assert (counts[:, 4] % 2 == 0).all()
    runs = np.concatenate(list(resampled_models(sizes, 200)))
    assert set(runs.tolist()) == set(range(8))


@pytest.mark.parametrize(
    ("sizes", "losses", "said"),
    [
        ([1, 2, 3], [3, 2, 1], "sizes: 3 different ones are too few to fit a curve to; give at least 4"),
        ([1, 2, 3, 3, 3], [3, 2, 1, 1, 1], "sizes: 3 different ones are too few to fit a curve to; give at least 4"),
        ([1, 2, 3, 4], [3, 2, 1], "losses: 3 do not pair with 4 sizes"),
        ([0, 1, 2, 3], [3, 2, 1, 1], "sizes: every one has to be a number above 0, since its logarithm is taken"),
        ([1, 2, 3, 4], [3, 2, np.nan, 1], "losses: every one has to be a number above 0, since its logarithm is taken"),
    ],
)
@pytest.mark.parametrize("fit", [fit_power_law, isoflop_minimum, fit_with_interval])
def test_what_cannot_be_fitted_is_refused_in_a_sentence(fit, sizes, losses, said):
    with pytest.raises(InputError) as refused:
        fit(sizes, losses)
    assert str(refused.value) == said


def test_the_parabola_has_its_bottom_where_it_was_put_or_at_the_better_end():
    logs = np.log(SIZES)
    for bottom in (logs[2] + 0.3, logs[5]):
        size, loss = isoflop_minimum(SIZES, 3 + 0.1 * (logs - bottom) ** 2)
        assert np.log(size) == pytest.approx(bottom)
        assert loss == pytest.approx(3)
    assert isoflop_minimum(SIZES, 3 + 0.1 * (logs - logs[-1] - 2) ** 2)[0] == pytest.approx(SIZES[-1])
    assert isoflop_minimum(SIZES, 9 - 0.1 * (logs - logs[2]) ** 2)[0] == pytest.approx(SIZES[-1])


def test_the_frontier_has_every_run_that_is_beaten_by_none_as_cheap():
    flops, losses = np.random.default_rng(0).integers(1, 30, (2, 60)).astype(float)
    found = set(frontier(flops, losses).tolist())
    kept = {(flops[row], losses[row]) for row in found}
    for cost, loss in zip(flops, losses, strict=True):
        beaten = ((flops <= cost) & (losses <= loss) & ((flops < cost) | (losses < loss))).any()
        assert ((cost, loss) in kept) != beaten
