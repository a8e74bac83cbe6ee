"""The losses of answers with and without the cache, and models that answer by a rule."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from transformers.modeling_outputs import CausalLMOutputWithPast

from largemodels.base.errors import InputError
from largemodels.generation.cache import KeyValueCache
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.memorization import text_losses
from largemodels.generation.prompting import (
    PLURALS,
    answer_losses,
    few_shot_answers,
    few_shot_prompt,
    noun_questions,
    section_questions,
)
from largemodels.generation.tokenization import train_tokenizer

PATTERN = "one {}, many"
PAIRS = pd.DataFrame({"question": ["array", "axis", "index"], "answer": ["arrays", "axes", "indices"]})


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["one array, many arrays. one axis, many axes. one index, many indices."] * 3, 280)


@pytest.fixture(scope="module")
def model(tokenizer):
    shape = DecoderShape(
        len(tokenizer), width=16, num_layers=2, num_heads=2, key_value_heads=1, inner=32, max_length=256
    )
    return Decoder(shape, seed=1)


@pytest.mark.parametrize("kind", ["ours", "transformers"])
def test_the_loss_of_an_answer_is_that_of_the_text_with_it_less_that_of_the_text(model, tokenizer, kind):
    asked = model if kind == "ours" else model.to_transformers()
    prompt, answers = "one array, many", ["arrays", "indices", "x", "a longer answer of words"]
    whole = text_losses(model, tokenizer, [prompt, *(f"{prompt} {answer}" for answer in answers)])
    found = answer_losses(asked, tokenizer, prompt, answers)
    assert found == pytest.approx(whole[1:] - whole[0], abs=1e-4)


def test_answers_of_one_token_each_need_no_second_pass(model, tokenizer):
    both = answer_losses(model, tokenizer, "one array, many", ["a", "x and more"])
    [alone] = answer_losses(model, tokenizer, "one array, many", ["a"])
    assert alone == pytest.approx(both[0], abs=1e-5)


def test_a_prompt_shows_examples_on_the_pattern_and_ends_before_the_answer():
    shots = [("array", "arrays"), ("axis", "axes")]
    assert few_shot_prompt(shots, "index", PATTERN) == "one array, many arrays. one axis, many axes. one index, many"
    assert few_shot_prompt([], "index", PATTERN) == "one index, many"
    with pytest.raises(ValueError, match="has not one place for the question"):
        few_shot_prompt([], "index", "many")


class Repeating(nn.Module):
    """Takes for likely what has been read before, the more the later it was."""

    def __init__(self, vocabulary):
        super().__init__()
        self.vocabulary, self.device, self.read = vocabulary, torch.device("cpu"), []

    def forward(self, input_ids, attention_mask=None, past_key_values=None, use_cache=False):
        if past_key_values is None:
            self.read.append(input_ids[0].tolist())
        logits = torch.zeros(*input_ids.shape, self.vocabulary)
        for token in self.read[-1]:
            logits = logits * 0.9
            logits[..., token] += 5.0
        return CausalLMOutputWithPast(logits=logits, past_key_values=KeyValueCache(1))


CHOICES = ["arrays", "axes", "indices"]


def test_a_model_that_repeats_is_right_where_the_examples_say_the_answer(tokenizer):
    questions = pd.DataFrame({"question": ["w", "x", "z"], "answer": ["1", "2", "3"], "choices": [["1", "2", "3"]] * 3})
    pool = pd.DataFrame({"question": ["q"], "answer": ["2"]})
    found = few_shot_answers(Repeating(len(tokenizer)), tokenizer, questions, pool, PATTERN, shots=1)
    assert found["answer"].tolist() == ["2"] * 3
    assert found["right"].tolist() == [False, True, False]


def test_examples_are_those_of_fewer_shots_and_more(tokenizer):
    def prompts(**options):
        model = Repeating(len(tokenizer))
        few_shot_answers(model, tokenizer, PAIRS, PAIRS, PATTERN, choices=CHOICES, **options)
        return [tokenizer.decode(ids).removeprefix("<|endoftext|>") for ids in model.read]

    none, one, three = prompts(shots=0), prompts(shots=1), prompts(shots=3)
    assert none == [PATTERN.replace("{}", question) for question in PAIRS["question"]]
    for first, more in zip(one, three, strict=True):
        assert more.startswith(first.split(". ")[0])
        assert more.count(". ") == 3
    assert three == prompts(shots=3)
    assert three != prompts(shots=3, seed=1)
    shuffled = prompts(shots=3, shuffled=True)
    assert shuffled != three
    for true, false in zip(three, shuffled, strict=True):
        assert [part.split(",")[0] for part in true.split(". ")] == [part.split(",")[0] for part in false.split(". ")]


def test_what_cannot_be_asked_is_refused(model, tokenizer):
    with pytest.raises(InputError, match="shots: 4 are more than the 3 examples"):
        few_shot_answers(model, tokenizer, PAIRS, PAIRS, PATTERN, shots=4, choices=CHOICES)
    with pytest.raises(InputError, match="give a text, and answers"):
        answer_losses(model, tokenizer, "", ["a"])
    with pytest.raises(InputError, match="give a text, and answers"):
        answer_losses(model, tokenizer, "one", [])


def test_losses_are_finite_numbers_of_nats(model, tokenizer):
    assert np.isfinite(answer_losses(model, tokenizer, "≤ 🙂", ["0", "∞"])).all()


def test_nouns_are_asked_for_themselves_or_their_plural():
    nouns = ["axis", "row", "matrix"]
    copied, plural = (noun_questions(task, nouns, seed=2) for task in ("copy", "plural"))
    assert copied["answer"].tolist() == nouns
    assert plural["answer"].tolist() == ["axes", "rows", "matrices"]
    for row in [*copied.to_dict("records"), *plural.to_dict("records")]:
        assert len(set(row["choices"])) == 4
        assert {row["question"], row["answer"], PLURALS[row["question"]]} <= set(row["choices"])
    assert len({row.index(answer) for row, answer in zip(plural["choices"], plural["answer"], strict=True)}) > 1


def test_of_each_section_there_are_as_many_sentences():
    sentences = pd.DataFrame(
        {"sentence": [f"{n} a b c" for n in range(9)], "section": ["notes", "raises", "other"] * 3}
    )
    questions = section_questions(sentences, ["notes", "raises"], 2, words=2)
    assert questions["answer"].tolist() == ["notes"] * 2 + ["raises"] * 2
    numbers = questions["question"].str.removesuffix(" a").astype(int)
    assert (numbers % 3).tolist() == [0, 0, 1, 1]
    assert numbers.nunique() == 4
