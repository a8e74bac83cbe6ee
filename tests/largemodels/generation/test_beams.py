"""A beam search finds what that of transformers finds, and with enough beams the most probable of all texts."""

from __future__ import annotations

import itertools

import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.generation.beams import beam_search
from largemodels.generation.decoder import Decoder
from largemodels.generation.sampling import generate
from small_decoders import decoder

PROMPT = [3, 1, 4, 1, 5]


@pytest.mark.parametrize("length_penalty", [-0.5, 0.0, 1.0, 2.0])
@pytest.mark.parametrize(("beams", "new", "least"), [(2, 8, 0), (4, 8, 0), (5, 3, 0), (3, 8, 5)])
def test_the_hypotheses_are_those_of_transformers(model, beams, new, least, length_penalty):
    theirs = model.to_transformers().eval() if isinstance(model, Decoder) else model
    ids = torch.tensor([PROMPT])
    stop = generate(model, [PROMPT], 3)[0][2]  # a token that some beams end with early
    output = theirs.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new,
        min_new_tokens=least or None,
        num_beams=beams,
        num_return_sequences=beams,
        do_sample=False,
        early_stopping="never",
        length_penalty=length_penalty,
        eos_token_id=stop,
        pad_token_id=stop,
        return_dict_in_generate=True,
        output_scores=True,
    )
    rows = output.sequences[:, len(PROMPT) :].tolist()
    expected = [row[: row.index(stop)] if stop in row else row for row in rows]
    options = {"stop": stop, "min_new_tokens": least, "length_penalty": length_penalty}
    found = beam_search(model, PROMPT, new, beams, **options)
    assert [hypothesis.tokens for hypothesis in found] == expected
    scores = torch.tensor([hypothesis.score for hypothesis in found])
    torch.testing.assert_close(scores, output.sequences_scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_enough_beams_find_the_best_of_all_texts_and_one_is_greedy(length_penalty):
    model, stop, new = decoder("ours", vocabulary=4, spread=6.0), 3, 4
    prompt, best = [0, 1], {}
    texts = [text for length in range(new) for text in itertools.product(range(3), repeat=length)]
    texts = [(*text, stop) for text in texts] + list(itertools.product(range(3), repeat=new))
    for text in texts:
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *text]])).logits[0, len(prompt) - 1 : -1]
        steps = logits.log_softmax(-1)[range(len(text)), list(text)]
        best[tuple(token for token in text if token != stop)] = float(steps.sum()) / len(text) ** length_penalty
    ranked = sorted(best, key=best.get, reverse=True)
    found = beam_search(model, prompt, new, 3**new, stop=stop, length_penalty=length_penalty)
    assert [tuple(hypothesis.tokens) for hypothesis in found[:10]] == ranked[:10]
    assert found[0].score == pytest.approx(best[ranked[0]], abs=1e-5)
    assert beam_search(model, prompt, new, 1)[0].tokens == generate(model, [prompt], new)[0]
    assert [len(beam_search(model, prompt, new, beams)) for beams in (1, 2, 3)] == [1, 2, 3]


def test_what_has_no_beams_is_one_sentence():
    with pytest.raises(InputError, match="beams: 0 is not at least 1"):
        beam_search(decoder("ours"), PROMPT, 3, 0)
    with pytest.raises(InputError, match="there is an empty one"):
        beam_search(decoder("ours"), [], 3, 2)
    with pytest.raises(InputError, match="63 tokens and 3 new ones are more than the 64"):
        beam_search(decoder("ours"), [1] * 63, 3, 2)
