"""Softmax and cross-entropy equal PyTorch's, keep finite, and have the gradient that the chapter derives."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from largemodels.models.losses import cross_entropy, cross_entropy_gradient, log_softmax, logsumexp, softmax

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
dtypes = st.sampled_from(list(TOLERANCE))


@st.composite
def problems(draw):
    """Logits with leading axes, targets of which some are ignored, and a label smoothing."""
    shape = draw(st.sampled_from([(1,), (7,), (3, 5), (2, 2, 3)]))
    classes = draw(st.integers(1, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    logits = torch.randn(*shape, classes, generator=generator, dtype=torch.float64)
    target = torch.randint(classes, shape, generator=generator)
    if draw(st.booleans()):
        dropped = torch.rand(shape, generator=generator) < 0.5
        dropped.view(-1)[0] = False  # something must be left to average
        target = target.masked_fill(dropped, -100)
    return logits.to(draw(dtypes)), target, draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))


def largest_difference(a, b):
    return (a - b).abs().max().item()


@given(
    st.integers(1, 40),
    st.integers(0, 2**31),
    dtypes,
    st.sampled_from([1.0, 10.0, 100.0]),
    st.sampled_from([0, 1, -1]),
)
def test_softmax_log_softmax_and_logsumexp_equal_pytorch(length, seed, dtype, spread, dim):
    generator = torch.Generator().manual_seed(seed)
    x = (torch.randn(3, length, generator=generator, dtype=torch.float64) * spread).to(dtype)
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    assert largest_difference(softmax(x, dim), torch.softmax(x, dim)) < TOLERANCE[dtype]
    torch.testing.assert_close(log_softmax(x, dim), torch.log_softmax(x, dim), **close)
    torch.testing.assert_close(logsumexp(x, dim), torch.logsumexp(x, dim), **close)


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20))
def test_softmax_of_any_finite_row_is_a_distribution_in_the_order_of_the_row(values):
    weights = softmax(torch.tensor(values))
    assert weights.min() >= 0
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)
    assert weights[values.index(max(values))] == weights.max()


@given(st.floats(-1e3, 1e3), st.integers(0, 2**31))
def test_softmax_does_not_change_when_the_same_number_is_added_to_every_score(shift, seed):
    x = torch.randn(8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert largest_difference(softmax(x + shift), softmax(x)) < 1e-12


def test_large_scores_stay_finite_where_the_bare_formula_overflows():
    x = torch.tensor([1000.0, 999.0])
    assert (x.exp() / x.exp().sum()).isnan().all()
    assert largest_difference(softmax(x), torch.tensor([math.e, 1.0]) / (math.e + 1)) < 1e-6
    assert logsumexp(x).item() == pytest.approx(1000 + math.log(1 + math.exp(-1)))


@given(st.integers(0, 2**31))
def test_the_loss_keeps_its_digits_when_a_thousand_is_added_to_every_logit(seed):
    logits = torch.randint(-5, 5, (4, 6), generator=torch.Generator().manual_seed(seed)).float()
    target = torch.tensor([0, 1, 2, 3])
    assert cross_entropy(logits + 1000, target).item() == cross_entropy(logits, target).item()


def test_a_score_of_minus_infinity_gets_exactly_nothing():
    x = torch.tensor([0.0, -math.inf, 0.0])
    assert softmax(x).tolist() == [0.5, 0.0, 0.5]
    assert logsumexp(torch.tensor([-math.inf, -math.inf])).item() == -math.inf
    assert softmax(torch.tensor([-math.inf, -math.inf])).isnan().all()


@given(problems())
def test_cross_entropy_equals_pytorch_with_ignored_positions_and_label_smoothing(problem):
    logits, target, smoothing = problem
    ours = cross_entropy(logits, target, label_smoothing=smoothing)
    theirs = F.cross_entropy(logits.movedim(-1, 1) if logits.ndim > 1 else logits, target, label_smoothing=smoothing)
    assert largest_difference(ours, theirs) < TOLERANCE[logits.dtype] * 4


@given(problems())
def test_the_written_gradient_equals_pytorchs(problem):
    logits, target, smoothing = problem
    logits.requires_grad_()
    loss = F.cross_entropy(logits.movedim(-1, 1), target, label_smoothing=smoothing)
    (theirs,) = torch.autograd.grad(loss, logits)
    ours = cross_entropy_gradient(logits.detach(), target, label_smoothing=smoothing)
    assert largest_difference(ours, theirs) < TOLERANCE[logits.dtype]
    assert ours.sum(-1).abs().max() < 4 * TOLERANCE[logits.dtype]
    assert (ours[target == -100] == 0).all()


def test_the_gradient_agrees_with_finite_differences():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 4, -100, 2])
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, target, label_smoothing=0.1), logits)
    ours, step = cross_entropy_gradient(logits.detach(), target, label_smoothing=0.1), 1e-6
    nudge = torch.zeros(4, 5, dtype=torch.float64)
    nudge[1, 3] = step
    up, down = (cross_entropy(logits.detach() + sign * nudge, target, label_smoothing=0.1) for sign in (1, -1))
    assert ours[1, 3].item() == pytest.approx(((up - down) / (2 * step)).item(), abs=1e-9)


def test_ignored_positions_are_in_neither_the_sum_nor_the_count():
    logits = torch.tensor([[0.0, 0.0], [5.0, -5.0]])
    assert cross_entropy(logits, torch.tensor([1, -100])).item() == pytest.approx(math.log(2))
    assert cross_entropy(logits, torch.tensor([0, -1]), ignore_index=-1).item() == pytest.approx(math.log(2))


def test_an_impossible_class_that_nobody_wants_does_not_spoil_the_loss():
    assert cross_entropy(torch.tensor([[0.0, 0.0, -math.inf]]), torch.tensor([0])).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("logits", "target", "options", "message"),
    [
        (
            torch.zeros(2, 3),
            torch.zeros(3, dtype=torch.long),
            {},
            r"target: int64 of shape \(3,\) is not int64 of shape \(2,\)",
        ),
        (torch.zeros(2, 3), torch.zeros(2), {}, "target: float32"),
        (torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, dtype=torch.long), {}, "logits: int64"),
        (torch.zeros(2, 3), torch.tensor([0, 3]), {}, "target: 3 is not a class from 0 to 2"),
        (torch.zeros(2, 3), torch.tensor([-100, -100]), {}, "nothing to average"),
        (
            torch.zeros(2, 3),
            torch.tensor([0, 1]),
            {"label_smoothing": 1.5},
            "label_smoothing: 1.5 is not between 0 and 1",
        ),
    ],
)
@pytest.mark.parametrize("function", [cross_entropy, cross_entropy_gradient])
def test_what_does_not_fit_is_refused_in_one_sentence(function, logits, target, options, message):
    with pytest.raises(ValueError, match=message):
        function(logits, target, **options)
