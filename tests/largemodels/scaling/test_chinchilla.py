"""The best use of compute in closed form, by search, and as the facts have it; the worth of a second reading."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from largemodels.base.errors import InputError
from largemodels.scaling.chinchilla import BESIROGLU, HOFFMANN, HOFFMANN_ROUNDED, LossLaw, effective_tokens


@given(st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(10, 1e4), st.floats(10, 1e4), st.floats(1e15, 1e26))
def test_the_closed_form_is_where_a_search_finds_the_least_loss(alpha, beta, size, data, flops):
    law = LossLaw(1.7, size, data, alpha, beta)
    found = law.optimum(flops)
    assert 6 * found.parameters * found.tokens == pytest.approx(flops)
    reducible = LossLaw(0, size, data, alpha, beta)  # the constant would drown the last digits
    searched = optimize.minimize_scalar(
        lambda log_size: float(np.log(reducible(np.exp(log_size), flops / 6 / np.exp(log_size)))),
        bracket=(np.log(found.parameters) - 3, np.log(found.parameters) + 2),
        tol=1e-10,
    )
    assert searched.x == pytest.approx(np.log(found.parameters), abs=1e-4)


@pytest.mark.parametrize(
    ("law", "flops", "parameters", "tokens"),
    [
        (HOFFMANN_ROUNDED, 2.21e19, 326e6, 11.3e9),
        (HOFFMANN_ROUNDED, 5.76e23, 32e9, 3.0e12),
        (HOFFMANN, 2.21e19, 389e6, 9.5e9),
        (HOFFMANN, 5.76e23, 40e9, 2.4e12),
        (BESIROGLU, 2.21e19, 394e6, 9.4e9),
        (BESIROGLU, 5.76e23, 72e9, 1.33e12),
    ],
)
def test_the_optima_are_those_of_the_literature_to_their_digits(law, flops, parameters, tokens):
    found = law.optimum(flops)
    digits = 1 if flops > 1e20 else 2
    assert found.parameters == pytest.approx(parameters, rel=0.02 if digits == 1 else 0.005)
    assert found.tokens == pytest.approx(tokens, rel=0.02 if digits == 1 else 0.005)


@pytest.mark.parametrize("flops", [0, -1, float("nan")])
def test_compute_that_is_none_is_refused(flops):
    with pytest.raises(InputError, match="is not above 0"):
        HOFFMANN.optimum(flops)


@given(st.floats(1, 1e9), st.floats(0.01, 200), st.floats(1.01, 2))
def test_a_text_is_worth_what_was_read_at_most_and_more_the_more_it_is_read(unique, passes, more):
    worth = effective_tokens(unique, passes)
    assert worth <= unique * passes * (1 + 1e-9)
    assert worth < effective_tokens(unique, passes * more) or passes > 150
    assert worth <= unique * (1 + 15.39)


def test_one_pass_counts_whole_and_the_worth_has_no_corner_there():
    assert effective_tokens(500, [0.5, 1]).tolist() == [250, 500]
    step = 1e-6
    assert (effective_tokens(1, 1 + step) - 1) / step == pytest.approx(1, abs=1e-5)


def test_each_repetition_is_worth_less_by_the_same_factor():
    gains = np.diff(effective_tokens(1.0, np.arange(1, 40)))
    assert gains[1:] / gains[:-1] == pytest.approx(np.full(37, np.exp(-1 / 15.39)))


@pytest.mark.parametrize(("unique", "passes"), [(0, 1), (10, 0), ([5, -1], 2)])
def test_no_text_and_no_pass_are_refused(unique, passes):
    with pytest.raises(InputError, match="above 0"):
        effective_tokens(unique, passes)
