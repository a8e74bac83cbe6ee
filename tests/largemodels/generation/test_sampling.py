"""Each filter is that of transformers, and what is generated is what it generates from the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    GPT2Model,
    MambaConfig,
    MambaForCausalLM,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    T5Config,
    T5ForConditionalGeneration,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from largemodels.base.errors import InputError
from largemodels.generation import sampling as ours
from largemodels.generation.decoder import Decoder
from largemodels.generation.sampling import Sampling, generate
from small_decoders import CONTEXT, OF_TRANSFORMERS, VOCABULARY, decoder

SMALL = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}
PROMPTS = [[3, 1, 4], [15, 9, 2, 6, 5, 35, 8], [7]]


def logits_of(seed: int, rows: int = 5) -> torch.Tensor:
    return 4 * torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 1000), setting=st.floats(0.01, 1))
def test_the_filters_are_those_of_transformers(seed, setting):
    logits, tokens = logits_of(seed), torch.randint(VOCABULARY, (5, 6), generator=torch.Generator().manual_seed(seed))
    seen = torch.zeros_like(logits, dtype=torch.bool).scatter(1, tokens, True)
    top_k = int(1 + setting * (VOCABULARY + 5))
    pairs = [
        (ours.scale_by_temperature(logits, 3 * setting), TemperatureLogitsWarper(3 * setting)),
        (ours.keep_top_k(logits, top_k), TopKLogitsWarper(top_k)),
        (ours.keep_top_p(logits, setting), TopPLogitsWarper(setting)),
        (ours.keep_min_p(logits, setting), MinPLogitsWarper(setting)),
        (ours.penalise_repetition(logits, seen, 2 * setting), RepetitionPenaltyLogitsProcessor(2 * setting)),
    ]
    for found, theirs in pairs:
        torch.testing.assert_close(found, theirs(tokens, logits), rtol=1e-6, atol=0)
    both = Sampling(temperature=3 * setting, top_k=top_k, top_p=setting, min_p=setting, repetition_penalty=2 * setting)
    expected = logits
    for _, theirs in [pairs[-1], *pairs[:-1]]:
        expected = theirs(tokens, expected)
    torch.testing.assert_close(both.shaped(logits, seen), expected, rtol=1e-6, atol=0)


def test_a_filter_keeps_the_most_probable_token_and_its_widest_setting_keeps_all():
    logits = logits_of(1)
    for narrow in (Sampling(top_k=1), Sampling(top_p=1e-9), Sampling(min_p=1.0), Sampling(temperature=1e-5)):
        probabilities = narrow.shaped(logits).softmax(-1)
        assert torch.equal(probabilities.argmax(-1), logits.argmax(-1))
        torch.testing.assert_close(probabilities.amax(-1), torch.ones(5))
    for wide in (Sampling(), Sampling(top_k=VOCABULARY + 1), Sampling(top_p=1.0), Sampling(min_p=1e-30)):
        assert torch.equal(wide.shaped(logits), logits)
    with pytest.raises(ValueError, match="seen: the tokens that were read are needed"):
        Sampling(repetition_penalty=2.0).shaped(logits)


def greedy_of_transformers(model, prompt: list[int], new: int, stop: int | None = None, **options) -> list[int]:
    if isinstance(model, Decoder):
        model = model.to_transformers().eval()
    ids = torch.tensor([prompt])
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new,
        do_sample=False,
        eos_token_id=stop,
        pad_token_id=0,
        **options,
    )
    return output[0, len(prompt) :].tolist()


@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_tokens_are_those_of_transformers_alone_and_in_a_batch(model, use_cache):
    alone = [greedy_of_transformers(model, prompt, 12) for prompt in PROMPTS]
    assert len({tuple(row) for row in alone}) == len(PROMPTS)
    assert [generate(model, [prompt], 12, use_cache=use_cache)[0] for prompt in PROMPTS] == alone
    assert generate(model, PROMPTS, 12, use_cache=use_cache) == alone


def test_a_row_ends_at_its_stop_and_the_others_go_on(model):
    free = generate(model, PROMPTS, 12)
    stop = free[0][4]
    expected = [row[: row.index(stop)] if stop in row else row for row in free]
    assert len(expected[0]) < 12
    assert generate(model, PROMPTS, 12, stop=stop) == expected
    assert [*expected[0], stop] == greedy_of_transformers(model, PROMPTS[0], 12, stop)


def test_no_text_ends_before_its_least_number_of_tokens(model):
    stop = generate(model, [PROMPTS[0]], 3)[0][2]
    for least in (0, 5, 12):
        theirs = greedy_of_transformers(model, PROMPTS[0], 12, stop, min_new_tokens=least)
        [ours] = generate(model, [PROMPTS[0]], 12, stop=stop, min_new_tokens=least)
        assert ours == (theirs[:-1] if theirs[-1] == stop else theirs)
        assert len(ours) >= least
    assert len(generate(model, [PROMPTS[0]], 12, sampling=Sampling(5.0), stop=stop, min_new_tokens=12)[0]) == 12


def test_draws_follow_the_shaped_distribution_and_their_seed():
    model, setting, draws = decoder("llama", spread=2.0), Sampling(temperature=1.5, top_k=8), 4000
    with torch.no_grad():
        logits = model(torch.tensor([PROMPTS[0]])).logits[0, -1]
    expected = setting.shaped(logits).double().softmax(-1).numpy()
    first = [row[0] for row in generate(model, [PROMPTS[0]] * draws, 1, sampling=setting, seed=3)]
    counts = np.bincount(first, minlength=VOCABULARY)
    kept = expected > 0
    assert kept.sum() == 8
    assert counts[~kept].sum() == 0
    assert stats.chisquare(counts[kept], draws * expected[kept]).pvalue > 1e-3
    several = [generate(model, PROMPTS, 10, sampling=Sampling(), seed=seed) for seed in (0, 0, 1)]
    assert several[0] == several[1] != several[2]


def test_a_repetition_penalty_counts_the_prompt_and_what_was_generated_and_no_padding():
    model = decoder("llama")
    strong = Sampling(top_k=1, repetition_penalty=1e6)
    for prompt, row in zip(PROMPTS, generate(model, PROMPTS, 12, sampling=strong), strict=True):
        assert not set(prompt) & set(row)
        assert len(set(row)) == 12
        assert generate(model, [prompt], 12, sampling=strong) == [row]


def test_sampled_tokens_are_the_same_with_and_without_a_cache(model):
    setting = Sampling(temperature=0.7, top_p=0.9, repetition_penalty=1.2)
    with_cache = generate(model, PROMPTS, 12, sampling=setting, seed=5)
    assert with_cache == generate(model, PROMPTS, 12, sampling=setting, seed=5, use_cache=False)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"temperature": 0}, "temperature: 0 is not above 0; leave the sampling out"),
        ({"temperature": -1.0}, "temperature: -1.0 is not above 0"),
        ({"temperature": float("nan")}, "temperature: nan is not above 0"),
        ({"top_k": 0}, "top_k: 0 is not at least 1"),
        ({"top_p": 0.0}, "top_p: 0.0 is not above 0 and at most 1"),
        ({"top_p": 1.5}, "top_p: 1.5 is not above 0 and at most 1"),
        ({"min_p": -0.1}, "min_p: -0.1 is not above 0 and at most 1"),
        ({"repetition_penalty": 0}, "repetition_penalty: 0 is not above 0"),
    ],
)
def test_settings_that_make_no_distribution_are_one_sentence(setting, said):
    with pytest.raises(InputError, match=said) as caught:
        Sampling(**setting)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_continued_is_one_sentence(model):
    for prompts in ([], [[]], [[1, 2], []]):
        with pytest.raises(InputError, match="there is an empty one"):
            generate(model, prompts, 3)
    with pytest.raises(InputError, match=f"60 tokens and 5 new ones are more than the {CONTEXT} that the model reads"):
        generate(model, [[1] * 60], 5)
    assert len(generate(model, [[1] * 60], 4)[0]) == 4
    with pytest.raises(InputError, match="max_new_tokens: 0 is not at least 1"):
        generate(model, [[1]], 0)
    with pytest.raises(InputError, match=f"token {VOCABULARY} is none of the model's {VOCABULARY}"):
        generate(model, [[VOCABULARY]], 1)


def test_an_encoder_is_refused_where_a_decoder_is_needed():
    bert = BertConfig(**SMALL)
    t5 = T5Config(vocab_size=40, d_model=32, d_kv=16, d_ff=48, num_layers=1, num_heads=2)
    headless = GPT2Model(decoder("gpt2").config)
    for model in (BertForMaskedLM(bert), BertLMHeadModel(bert), T5ForConditionalGeneration(t5), headless):
        with pytest.raises(InputError, match=f"{type(model).__name__} predicts no next token"):
            generate(model, [[1]], 1)
    reading_left = BertLMHeadModel(BertConfig(**SMALL, is_decoder=True))
    assert len(generate(reading_left, [[1]], 2)[0]) == 2


def test_a_model_without_keys_and_values_is_refused():
    mamba = MambaForCausalLM(MambaConfig(vocab_size=40, hidden_size=32, num_hidden_layers=1, state_size=4))
    with pytest.raises(InputError, match="MambaForCausalLM keeps no keys and values of the tokens"):
        generate(mamba, [[1]], 1)


def test_every_family_here_is_a_causal_model_of_transformers():
    from largemodels.models.loading import is_causal

    assert all(is_causal(decoder(family)) for family in OF_TRANSFORMERS)
