"""Attention equals PyTorch's to rounding, and has the properties that the chapter claims."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from largemodels.attention import layers as lm
from largemodels.attention.layers import MultiHeadAttention, attention
from largemodels.attention.tiles import attention_in_tiles

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
dtypes = st.sampled_from(list(TOLERANCE))
seeds = st.integers(0, 2**31)
lengths = st.integers(1, 12)


def normal(*shape, seed, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def coins(*shape, seed, chance=0.5):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < chance


def largest_difference(a, b):
    assert a.shape == b.shape
    return (a - b).abs().max().item()


@st.composite
def problems(draw):
    """Queries, keys and values with leading axes, of unequal lengths and widths."""
    leading = draw(st.sampled_from([(), (3,), (2, 3)]))
    queries, keys, d_k, d_v = draw(lengths), draw(lengths), draw(st.integers(1, 16)), draw(st.integers(1, 8))
    seed, dtype = draw(seeds), draw(dtypes)
    query = normal(*leading, queries, d_k, seed=seed, dtype=dtype)
    key = normal(*leading, keys, d_k, seed=seed + 1, dtype=dtype)
    return query, key, normal(*leading, keys, d_v, seed=seed + 2, dtype=dtype), seed


# --- Scaled dot-product attention --------------------------------------------------------------------------


@given(problems(), st.integers(1, 13))
def test_attention_in_tiles_of_any_size_is_attention(problem, tile):
    query, key, value, _ = problem
    assume(query.ndim == 2)
    query = 30 * query  # so that the largest score changes between tiles, and exponentials would overflow without it
    tiled = attention_in_tiles(query, key, value, tile)
    assert largest_difference(tiled, attention(query, key, value)[0]) < 30 * TOLERANCE[query.dtype]


def test_a_tile_without_keys_is_refused():
    with pytest.raises(ValueError, match=r"^tile: 0 is not at least 1"):
        attention_in_tiles(*torch.randn(3, 4, 4), tile=0)


@given(problems(), st.sampled_from(["none", "boolean", "broadcast", "additive", "causal"]))
def test_attention_equals_pytorch_under_every_kind_of_mask(problem, kind):
    query, key, value, seed = problem
    scores = (*query.shape[:-1], key.shape[-2])
    mask = {
        "none": None,
        "boolean": coins(*scores, seed=seed + 3),  # now and then a row without any key
        "broadcast": coins(*scores[-2:], seed=seed + 3),
        "additive": normal(*scores, seed=seed + 3, dtype=query.dtype),
        "causal": torch.ones(scores[-2:], dtype=torch.bool).tril(),
    }[kind]
    ours, weights = attention(query, key, value, mask)
    torch_mask = {"attn_mask": mask} if kind != "causal" else {"is_causal": True}
    theirs = F.scaled_dot_product_attention(query, key, value, **torch_mask)
    assert largest_difference(ours, theirs) < TOLERANCE[query.dtype]
    assert weights.shape == scores


@given(problems(), st.floats(0.01, 2))
def test_attention_equals_pytorch_with_a_scale_of_ones_own(problem, scale):
    query, key, value, _ = problem
    theirs = F.scaled_dot_product_attention(query, key, value, scale=scale)
    assert largest_difference(attention(query, key, value, scale=scale)[0], theirs) < 10 * TOLERANCE[query.dtype]


def test_the_default_scale_is_one_over_the_root_of_the_width():
    query, key = normal(1, 64, seed=0), normal(5, 64, seed=1)
    _, weights = attention(query, key, key)
    assert largest_difference(weights, torch.softmax(query @ key.T / 8, -1)) < 1e-12


@given(problems())
def test_rows_sum_to_one_over_the_keys(problem):
    query, key, value, _ = problem
    _, weights = attention(query, key, value)
    assert (weights >= 0).all()
    assert largest_difference(weights.sum(-1), torch.ones_like(weights[..., 0])) < TOLERANCE[query.dtype]


@given(problems())
def test_every_output_lies_between_the_smallest_and_the_largest_value(problem):
    query, key, value, _ = problem
    output, _ = attention(query, key, value)
    assert (output <= value.amax(-2, keepdim=True) + 1e-5).all()
    assert (output >= value.amin(-2, keepdim=True) - 1e-5).all()


def test_a_query_without_any_key_gets_zeros_and_sends_back_zeros():
    query, key, value = (normal(3, 4, seed=seed).requires_grad_() for seed in range(3))
    mask = torch.tensor([[True, True, True], [False, False, False], [True, False, False]])
    for form in (mask, torch.zeros(3, 3).masked_fill(~mask, -math.inf)):
        output, weights = attention(query, key, value, form)
        assert (output[1] == 0).all()
        assert (weights[1] == 0).all()
        gradients = torch.autograd.grad(output.sum(), (query, key, value))
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert (gradients[0][1] == 0).all()


@given(problems())
def test_a_boolean_mask_is_the_additive_mask_of_zero_and_minus_infinity(problem):
    query, key, value, seed = problem
    mask = coins(query.shape[-2], key.shape[-2], seed=seed)
    additive = torch.zeros(mask.shape, dtype=query.dtype).masked_fill(~mask, -math.inf)
    outputs = attention(query, key, value, mask)[0], attention(query, key, value, additive)[0]
    assert largest_difference(*outputs) == 0


@given(lengths, lengths, seeds)
def test_what_stands_in_the_padding_changes_nothing(real, padding, seed):
    x = normal(1, real, 6, seed=seed)
    padded = torch.cat([x, 1e3 * normal(1, padding, 6, seed=seed + 1)], dim=1)
    mask = lm.padding_mask(torch.tensor([real]), real + padding)
    alone, _ = attention(x, x, x)
    together, weights = attention(padded, padded, padded, mask)
    assert largest_difference(together[:, :real], alone) < 1e-12
    assert (weights[..., real:] == 0).all()


@given(lengths, seeds)
def test_permuting_the_tokens_permutes_the_outputs(length, seed):
    x = normal(length, 6, seed=seed)
    order = torch.randperm(length, generator=torch.Generator().manual_seed(seed))
    assert largest_difference(attention(x[order], x[order], x[order])[0], attention(x, x, x)[0][order]) < 1e-12


@given(lengths, seeds)
def test_permuting_the_keys_alone_changes_nothing(length, seed):
    query, key, value = (normal(length, 6, seed=seed + part) for part in range(3))
    order = torch.randperm(length, generator=torch.Generator().manual_seed(seed))
    assert largest_difference(attention(query, key[order], value[order])[0], attention(query, key, value)[0]) < 1e-12


@given(st.integers(2, 10), seeds)
def test_under_a_causal_mask_the_future_cannot_change_the_past(length, seed):
    x = normal(length, 6, seed=seed)
    changed = x.clone()
    changed[-1] += 10
    mask = lm.causal_mask(length)
    before, after = attention(x, x, x, mask)[0], attention(changed, changed, changed, mask)[0]
    assert largest_difference(before[:-1], after[:-1]) == 0
    assert largest_difference(before[-1:], after[-1:]) > 0


def test_the_gradients_agree_with_finite_differences():
    parts = [normal(2, 3, 4, seed=seed).requires_grad_() for seed in range(3)]
    mask = lm.causal_mask(3)
    assert torch.autograd.gradcheck(lambda q, k, v: attention(q, k, v, mask)[0], parts)


@pytest.mark.parametrize("factor", [1e2, 1e3])
def test_large_scores_stay_finite(factor):
    x = factor * normal(5, 8, seed=0, dtype=torch.float32)
    output, weights = attention(x, x, x)
    assert output.isfinite().all()
    assert largest_difference(weights.sum(-1), torch.ones(5)) < 1e-6


def test_leading_axes_broadcast():
    query, key = normal(2, 1, 3, 4, seed=0), normal(5, 6, 4, seed=1)
    output, weights = attention(query, key, key)
    assert output.shape == (2, 5, 3, 4)
    assert weights.shape == (2, 5, 3, 6)


@pytest.mark.parametrize(
    ("shapes", "mask", "message"),
    [
        (((3, 4), (3, 5), (3, 4)), None, "key: width 5 is not that of the query, 4"),
        (((3, 4), (2, 4), (3, 4)), None, "value: 3 rows for 2 keys"),
        (((4,), (3, 4), (3, 4)), None, r"query: float64 of shape \(4,\) is not floating point of shape"),
        (((2, 3, 4), (5, 3, 4), (5, 3, 4)), None, r"do not broadcast: \(2,\), \(5,\), \(5,\)"),
        (((3, 4), (3, 4), (3, 4)), torch.ones(3, 3, dtype=torch.long), "mask: int64 .* is neither boolean"),
        (
            ((3, 4), (2, 4), (2, 4)),
            torch.ones(2, 3, dtype=torch.bool),
            r"mask: shape \(2, 3\) does not broadcast .* \(3, 2\)",
        ),
        (
            ((3, 4), (3, 4), (3, 4)),
            torch.ones(2, 3, 3, dtype=torch.bool),
            r"mask: shape \(2, 3, 3\) does not broadcast",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(shapes, mask, message):
    with pytest.raises(ValueError, match=message):
        attention(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes), mask)


def test_mixed_and_whole_number_types_are_refused():
    x = torch.zeros(3, 4)
    with pytest.raises(ValueError, match="give them one type"):
        attention(x, x, x.double())
    with pytest.raises(ValueError, match="value: int64"):
        attention(x, x, x.long())


# --- Masks -------------------------------------------------------------------------------------------------


def drawn(mask):
    """A mask as text, one row a line: # may attend, . may not."""
    return ["".join("#" if cell else "." for cell in row) for row in mask.tolist()]


def test_each_mask_lets_through_what_its_name_says():
    assert drawn(lm.causal_mask(3)) == ["#..", "##.", "###"]
    assert drawn(lm.sliding_window_mask(4, 1)) == ["##..", "###.", ".###", "..##"]
    assert drawn(lm.sliding_window_mask(4, 1) & lm.causal_mask(4)) == ["#...", "##..", ".##.", "..##"]
    assert drawn(lm.prefix_mask(4, 2)) == ["##..", "##..", "###.", "####"]
    assert drawn(lm.document_mask(torch.tensor([0, 0, 1, -1]))) == ["##..", "##..", "..#.", "...."]
    assert drawn(lm.padding_mask(torch.tensor([3, 1]), 3)[:, 0]) == ["###", "#.."]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), seeds)
def test_documents_packed_in_one_row_are_read_as_if_each_stood_alone(sizes, seed):
    documents = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    x = normal(sum(sizes), 5, seed=seed)
    packed, _ = attention(x, x, x, lm.document_mask(documents) & lm.causal_mask(len(x)))
    alone = [attention(part, part, part, lm.causal_mask(len(part)))[0] for part in x.split(sizes)]
    assert largest_difference(packed, torch.cat(alone)) < 1e-12


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lm.padding_mask(torch.tensor([4]), 3), r"lengths: \[4\] are not all between 0 and 3"),
        (lambda: lm.padding_mask(torch.tensor([1.0]), 3), "lengths: float32"),
        (lambda: lm.causal_mask(0), "length: 0 is not at least 1"),
        (lambda: lm.sliding_window_mask(3, -1), "window: -1 is not at least 0"),
        (lambda: lm.prefix_mask(3, 4), "prefix_length: 4 is not between 0 and the length, 3"),
        (lambda: lm.document_mask(torch.tensor([0.5])), "documents: float32"),
    ],
)
def test_a_mask_that_cannot_be_made_is_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- Positions ---------------------------------------------------------------------------------------------


@given(st.integers(1, 20), st.integers(1, 8))
def test_sinusoidal_positions_follow_the_papers_formula(length, pairs):
    table = lm.sinusoidal_positions(length, 2 * pairs, dtype=torch.float64)
    position, pair = length - 1, pairs - 1
    angle = position / 10_000 ** (2 * pair / (2 * pairs))
    assert table.shape == (length, 2 * pairs)
    assert table[position, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-12)
    assert table[position, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-12)


@given(st.integers(1, 500), seeds, dtypes)
def test_rotary_scores_depend_on_the_distance_only(shift, seed, dtype):
    query, key = normal(5, 8, seed=seed, dtype=dtype), normal(5, 8, seed=seed + 1, dtype=dtype)
    here, there = torch.arange(5), torch.arange(5) + shift
    scores = [lm.rotary(query, p) @ lm.rotary(key, p).T for p in (here, there)]
    assert largest_difference(*scores) < {torch.float32: 3e-5, torch.float64: 1e-10}[dtype]


@given(seeds)
def test_rotary_turns_without_stretching_and_leaves_position_zero_alone(seed):
    x = normal(6, 8, seed=seed)
    assert largest_difference(lm.rotary(x).norm(dim=-1), x.norm(dim=-1)) < 1e-12
    assert largest_difference(lm.rotary(x)[0], x[0]) == 0


def test_rotary_tells_positions_apart():
    x = normal(1, 8, seed=0).expand(4, 8)
    scores = lm.rotary(x) @ lm.rotary(x).T
    assert (scores[0, 1:] < scores[0, 0] - 1e-3).all()


def test_alibi_has_the_slopes_and_distances_of_the_paper():
    assert lm.alibi_slopes(8).tolist() == [2.0**-n for n in range(1, 9)]
    assert lm.alibi_slopes(3).tolist() == [2.0**-4, 2.0**-8, 2.0**-2]
    assert lm.alibi(8, 3)[0].tolist() == [[0, -0.5, -1], [-0.5, 0, -0.5], [-1, -0.5, 0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lm.sinusoidal_positions(3, 5), "dim: 5 is not even"),
        (lambda: lm.rotary(torch.zeros(3, 5)), "dim: 5 is not even"),
        (lambda: lm.rotary(torch.zeros(3, 4), torch.arange(2)), r"positions: shape \(2,\) is not \(3,\)"),
        (lambda: lm.alibi_slopes(0), "num_heads: 0 is not at least 1"),
    ],
)
def test_positions_that_cannot_be_made_are_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- Many heads --------------------------------------------------------------------------------------------


@st.composite
def blocks(draw):
    """A `torch.nn.MultiheadAttention` with weights drawn at random (its own biases are zero), and its inputs."""
    num_heads, dtype, seed = draw(st.integers(1, 4)), draw(dtypes), draw(seeds)
    embed_dim = num_heads * draw(st.integers(1, 6))
    block = nn.MultiheadAttention(embed_dim, num_heads, bias=draw(st.booleans()), batch_first=True, dtype=dtype)
    for part, parameter in enumerate(block.parameters()):
        parameter.data = normal(*parameter.shape, seed=seed + part, dtype=dtype) / math.sqrt(embed_dim)
    queries, keys = draw(lengths), draw(lengths)
    inputs = [normal(2, length, embed_dim, seed=seed + 100 + length, dtype=dtype) for length in (queries, keys)]
    return block.eval(), *inputs, seed


@given(blocks(), st.sampled_from(["none", "padding", "attention", "both"]))
def test_a_multi_head_block_equals_pytorchs_given_its_weights(block, masks):
    theirs, query, key, seed = block
    pad = coins(2, key.shape[1], seed=seed) & torch.tensor([[True], [False]])  # True = ignore, in PyTorch
    forbid = coins(query.shape[1], key.shape[1], seed=seed + 1, chance=0.3)
    assume(not (pad[:, None, :] | forbid).all(-1).any())  # theirs gives NaN for a row without any key
    torch_masks = {
        "none": {},
        "padding": {"key_padding_mask": pad},
        "attention": {"attn_mask": forbid},
        "both": {"key_padding_mask": pad, "attn_mask": forbid},
    }[masks]
    mask = {
        "none": None,
        "padding": ~pad[:, None, :],
        "attention": ~forbid,
        "both": ~(pad[:, None, :] | forbid),
    }[masks]
    expected, expected_weights = theirs(query, key, key, **torch_masks, average_attn_weights=False)
    output, weights = MultiHeadAttention.from_torch(theirs)(query, key, mask=mask)
    assert largest_difference(output, expected) < 4 * TOLERANCE[query.dtype]
    assert largest_difference(weights, expected_weights) < TOLERANCE[query.dtype]


def test_taking_over_weights_copies_them():
    theirs = nn.MultiheadAttention(4, 2)
    ours = MultiHeadAttention.from_torch(theirs)
    ours.query.weight.data.zero_()
    assert theirs.in_proj_weight.abs().min() > 0


def test_a_multi_head_block_does_not_know_the_order_of_its_tokens():
    torch.manual_seed(0)
    block, x, order = (
        MultiHeadAttention(8, 2).double(),
        normal(1, 5, 8, seed=0),
        torch.tensor([3, 0, 4, 1, 2]),
    )
    assert largest_difference(block(x[:, order])[0], block(x)[0][:, order]) < 1e-12


@given(st.integers(1, 4), st.integers(1, 4), seeds)
def test_splitting_and_merging_heads_are_inverse(num_heads, width, seed):
    x = normal(2, 3, num_heads * width, seed=seed)
    assert torch.equal(lm.merge_heads(lm.split_heads(x, num_heads)), x)


def test_blocks_that_cannot_be_made_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match="embed_dim: 6 is not a multiple of num_heads, 4"):
        MultiHeadAttention(6, 4)
    for options in ({"kdim": 3}, {"add_bias_kv": True}, {"add_zero_attn": True}):
        with pytest.raises(ValueError, match="has no equal here"):
            MultiHeadAttention.from_torch(nn.MultiheadAttention(4, 2, **options))


# --- What the weights look like ----------------------------------------------------------------------------


def test_entropy_runs_from_one_key_to_all_keys():
    assert lm.entropy(torch.tensor([1.0, 0.0])).item() == 0
    assert lm.entropy(torch.full((7,), 1 / 7)).item() == pytest.approx(math.log(7))


@given(st.integers(1, 9), seeds)
def test_the_gradient_norm_is_that_of_the_softmax_that_autograd_sees(length, seed):
    scores = normal(length, seed=seed)
    jacobian = torch.autograd.functional.jacobian(lambda x: torch.softmax(x, -1), scores)
    norm = lm.softmax_gradient_norm(torch.softmax(scores, -1))
    assert norm.item() == pytest.approx(jacobian.norm().item(), abs=1e-7)


def test_only_scaled_scores_keep_their_entropy_when_the_width_grows():
    def entropy_at(dim, scaled):
        generator = torch.Generator().manual_seed(0)
        return lm.score_study(dim, 32, 500, scaled=scaled, generator=generator)["entropy"].mean().item()

    assert entropy_at(256, scaled=True) == pytest.approx(entropy_at(16, scaled=True), abs=0.03)
    assert entropy_at(256, scaled=False) < entropy_at(16, scaled=False) / 2


def test_the_variance_of_the_dot_products_is_the_width():
    study = lm.score_study(64, 32, 2000, scaled=True, generator=torch.Generator().manual_seed(0))
    assert study["variance"].mean().item() == pytest.approx(64, rel=0.05)
