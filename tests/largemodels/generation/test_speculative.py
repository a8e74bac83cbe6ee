"""A draft changes how long a text takes, and neither the text nor its distribution."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from largemodels.base.errors import InputError
from largemodels.generation import speculative
from largemodels.generation.sampling import Sampling, generate
from largemodels.generation.speculative import Speculated, acceptance, first_blocks, kept, residual, speculate
from small_decoders import FAMILIES, decoder

PROMPT = [3, 1, 4, 1, 5]


def distributions(seed: int, rows: int, zeros: bool) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, 6, generator=generator, dtype=torch.float64)
    if zeros:
        logits = logits.masked_fill(torch.rand(rows, 6, generator=generator) < 0.5, -torch.inf)
        logits[:, seed % 6] = 1
    return logits.softmax(-1)


@given(seed=st.integers(0, 500), zeros=st.booleans())
def test_what_is_kept_and_what_replaces_the_rest_make_the_target(seed, zeros):
    target, draft = distributions(seed, 20, zeros), distributions(seed + 1000, 20, zeros)
    keep = draft * acceptance(target, draft)
    rejected = 1 - keep.sum(-1, keepdim=True)
    torch.testing.assert_close(keep + rejected * residual(target, draft), target, rtol=0, atol=1e-12)
    torch.testing.assert_close(keep.sum(-1), torch.minimum(target, draft).sum(-1))  # Leviathan et al., theorem 3.5
    assert torch.equal(residual(target, target), target)


def joint(model, prompt: list[int], length: int, setting: Sampling) -> dict[tuple[int, ...], float]:
    """The probability of every text of so many tokens."""
    result = {}
    for text in itertools.product(range(3), repeat=length):
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *text]])).logits[0, len(prompt) - 1 : -1].double()
        steps = setting.shaped(logits).log_softmax(-1)[range(length), list(text)]
        result[text] = float(steps.sum().exp())
    return result


def test_two_drafted_tokens_are_distributed_as_the_targets_two():
    setting = Sampling(temperature=1.3)
    large, small = (decoder("ours", vocabulary=3, seed=seed, spread=6.0) for seed in (1, 2))
    target, draft = (joint(model, [0, 1], 2, setting) for model in (large, small))
    assert sum(target.values()) == pytest.approx(1)

    def table(texts: dict) -> torch.Tensor:
        return torch.tensor(list(texts.values()), dtype=torch.float64).view(3, 3)

    p_first, q_first = table(target).sum(1), table(draft).sum(1)
    p_second, q_second = table(target) / p_first[:, None], table(draft) / q_first[:, None]
    assert float((p_first - q_first).abs().max()) > 0.1
    found = torch.zeros(3, 3, dtype=torch.float64)
    keep_first, keep_second = acceptance(p_first, q_first), acceptance(p_second, q_second)
    for one, two in itertools.product(range(3), repeat=2):  # what is drafted
        drawn = q_first[one] * q_second[one, two]
        found[one, two] += drawn * keep_first[one] * keep_second[one, two]
        found[one] += drawn * keep_first[one] * (1 - keep_second[one, two]) * residual(p_second[one], q_second[one])
        replaced = residual(p_first, q_first)[:, None] * p_second  # the second token is then of a step of its own
        found += drawn * (1 - keep_first[one]) * replaced
    torch.testing.assert_close(found, table(target), rtol=0, atol=1e-12)


def test_texts_with_a_draft_follow_the_large_models_distribution():
    setting, runs = Sampling(temperature=1.3), 600
    large, small = (decoder("ours", vocabulary=3, seed=seed, spread=10.0) for seed in (1, 2))
    expected, other = (joint(model, [0, 1], 3, setting) for model in (large, small))
    texts = list(expected)
    counts = np.zeros(len(texts))
    accepted = judged = 0
    for seed in range(runs):
        found = speculate(large, small, [0, 1], 3, ahead=2, sampling=setting, seed=seed)
        counts[texts.index(tuple(found.tokens))] += 1
        accepted, judged = accepted + found.accepted, judged + found.judged
    assert 0.1 < accepted / judged < 0.9
    assert stats.chisquare(counts, runs * np.array(list(expected.values())), sum_check=False).pvalue > 1e-3
    wrong = np.array(list(other.values()))
    assert stats.chisquare(counts, runs * wrong / wrong.sum(), sum_check=False).pvalue < 1e-6


@pytest.mark.parametrize("ahead", [1, 4])
@pytest.mark.parametrize("draft", FAMILIES)
def test_greedy_texts_are_the_large_models_own(model, draft, ahead):
    small = decoder(draft, seed=3)
    expected = generate(model, [PROMPT], 20)[0]
    found = speculate(model, small, PROMPT, 20, ahead=ahead)
    assert found.tokens == expected
    assert 0 <= found.accepted < found.judged <= found.drafted
    stop = expected[6]
    shorter = speculate(model, small, PROMPT, 20, ahead=ahead, stop=stop).tokens
    assert shorter == expected[: expected.index(stop)]


def test_a_model_that_drafts_for_itself_is_always_right(model):
    found = speculate(model, model, PROMPT, 20, ahead=3)
    assert found.tokens == generate(model, [PROMPT], 20)[0]
    assert found.accepted_share == 1
    assert found.steps == 5  # four tokens each


def test_behind_the_first_refusal_nothing_is_kept():
    sure = torch.eye(4)
    target, draft = sure[[0, 1, 2, 3]], sure[[0, 3, 2]]
    assert kept(torch.tensor([0, 3, 2]), target, draft, torch.Generator()) == (1, 1)
    assert kept(torch.tensor([0, 1, 2]), target, sure[[0, 1, 2]], torch.Generator()) == (3, 3)


def test_what_stands_behind_a_refusal_was_drafted_and_not_judged(monkeypatch):
    model, steps = decoder("ours"), iter([(3, 9), (0, 9), (2, 9), (1, 9)])
    monkeypatch.setattr(speculative, "kept", lambda drafted, *_: next(steps))
    found = speculate(model, model, PROMPT, 10, ahead=3)
    assert found == Speculated(found.tokens, drafted=3 + 3 + 3 + 2, judged=3 + 1 + 3 + 2, accepted=6, steps=4)
    assert len(found.tokens) == 10
    assert found.accepted_share == 6 / 9


def test_the_first_blocks_are_a_draft_of_the_same_weights():
    model = decoder("ours")
    draft = first_blocks(model, 1)
    assert draft.shape == replace(model.shape, num_layers=1)
    assert all(torch.equal(weight, model.state_dict()[name]) for name, weight in draft.state_dict().items())
    draft.embedding.weight.data.zero_()
    assert model.embedding.weight.any()
    whole = first_blocks(model, 2)
    assert torch.equal(whole(torch.tensor([PROMPT])).logits, model(torch.tensor([PROMPT])).logits)
    for number, said in (
        (3, "num_layers: 3 is more than the 2 blocks of the model"),
        (0, "num_layers: 0 is not above 0"),
    ):
        with pytest.raises(InputError, match=said):
            first_blocks(model, number)


def test_nothing_is_drafted_behind_the_end_of_a_text(model):
    stop = generate(model, [PROMPT], 6)[0][1]
    found = speculate(model, model, PROMPT, 20, ahead=10, stop=stop)
    assert found.tokens == generate(model, [PROMPT], 20, stop=stop)[0]
    assert found.drafted == found.accepted == len(found.tokens) + 1
    assert found.steps == 1


def test_models_that_cannot_be_put_together_are_one_sentence():
    large, small = decoder("ours"), decoder("ours", vocabulary=20)
    with pytest.raises(InputError, match="draft_model: it has 20 tokens and the model 40; both need one tokenizer"):
        speculate(large, small, PROMPT, 5)
    with pytest.raises(InputError, match="ahead: 0 is not at least 1"):
        speculate(large, large, PROMPT, 5, ahead=0)
    with pytest.raises(InputError, match="a draft is checked without a repetition penalty"):
        speculate(large, large, PROMPT, 5, sampling=Sampling(repetition_penalty=1.2))
    with pytest.raises(InputError, match="there is an empty one"):
        speculate(large, large, [], 5)
