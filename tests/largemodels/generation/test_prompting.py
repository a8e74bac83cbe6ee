"""The losses of answers with and without the cache, and models that answer by a rule."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from largemodels.base.errors import InputError
from largemodels.generation.cache import KeyValueCache
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.language_model import losses_after
from largemodels.generation.prompting import (
    _AT_ONCE,
    PLURALS,
    answer_losses,
    few_shot_answers,
    few_shot_prompt,
    frequent_answers,
    noun_questions,
    section_questions,
)
from largemodels.generation.reading import encode_prompt
from largemodels.generation.tokenization import train_tokenizer

PATTERN = "one {}, many"
CHOICES = ["arrays", "axes", "indices"]
PAIRS = pd.DataFrame({"question": ["array", "axis", "index"], "answer": CHOICES, "choices": [CHOICES] * 3})


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["one array, many arrays. one axis, many axes. one index, many indices."] * 3, 280)


@pytest.fixture(scope="module")
def model(tokenizer):
    shape = DecoderShape(
        len(tokenizer), width=16, num_layers=2, num_heads=2, key_value_heads=1, inner=32, max_length=256
    )
    return Decoder(shape, seed=1)


def gpt2(vocabulary_size):
    """A random GPT-2, whose positions are a table."""
    torch.manual_seed(2)
    shape = {"vocab_size": vocabulary_size, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 256}
    return GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=0, eos_token_id=0)).eval()


@pytest.mark.parametrize("kind", ["ours", "Llama", "GPT-2"])
def test_the_loss_of_an_answer_is_that_of_its_tokens_behind_the_prompt_whatever_else_is_asked(model, tokenizer, kind):
    asked = {"ours": model, "Llama": model.to_transformers(), "GPT-2": gpt2(len(tokenizer))}[kind].eval()
    prompts = ["one array, many", "one", "one axis, many axes. one index, many"] * _AT_ONCE
    answers = [["arrays", "indices", "x", "a longer answer of words"], ["x"], ["a", "axes"]] * _AT_ONCE
    found = answer_losses(asked, tokenizer, prompts, answers)
    for prompt, each, losses in zip(prompts, answers, found, strict=True):
        texts = [encode_prompt(tokenizer, f"{prompt} {answer}") for answer in each]
        table = losses_after(asked, texts, len(encode_prompt(tokenizer, prompt)))
        assert losses == pytest.approx(table.groupby("text").loss.sum().to_numpy(), abs=1e-3)


def test_answers_of_one_token_each_need_no_second_pass(model, tokenizer):
    [both] = answer_losses(model, tokenizer, ["one array, many a"], [["rr", "x and more"]])
    [alone] = answer_losses(model, tokenizer, ["one array, many a"], [["rr"]])
    assert alone == pytest.approx(both[:1], abs=1e-4)


def test_a_prompt_shows_examples_on_the_pattern_and_ends_before_the_answer():
    shots = [("array", "arrays"), ("axis", "axes")]
    assert few_shot_prompt(shots, "index", PATTERN) == "one array, many arrays. one axis, many axes. one index, many"
    assert few_shot_prompt([], "index", PATTERN) == "one index, many"
    with pytest.raises(ValueError, match="has not one place for the question"):
        few_shot_prompt([], "index", "many")


class Repeating(Decoder):
    """Takes for likely what has been read before, the more the later it was."""

    def __init__(self, vocabulary):
        super().__init__(DecoderShape(vocabulary, 2, 1, num_heads=1, key_value_heads=1, inner=2, max_length=256))
        self.read = []

    def forward(self, input_ids, attention_mask=None, past_key_values=None, use_cache=False):
        if past_key_values is None:
            mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            self.read += [row[seen.bool()].tolist() for row, seen in zip(input_ids, mask, strict=True)]
            self.asked = self.read[-len(input_ids) :]
        logits = torch.zeros(*input_ids.shape, self.shape.vocabulary_size)
        for row, read in zip(logits, self.asked * (len(input_ids) // len(self.asked)), strict=True):
            for token in read:
                row *= 0.9
                row[..., token] += 5.0
        return CausalLMOutputWithPast(logits=logits, past_key_values=KeyValueCache(1))


def test_a_model_that_repeats_is_right_where_the_examples_say_the_answer(tokenizer):
    questions = pd.DataFrame({"question": ["w", "x", "z"], "answer": ["1", "2", "3"], "choices": [["1", "2", "3"]] * 3})
    pool = pd.DataFrame({"question": ["q"], "answer": ["2"]})
    found = few_shot_answers(Repeating(len(tokenizer)), tokenizer, questions, pool, PATTERN, shots=1)
    assert found["answer"].tolist() == ["2"] * 3
    assert found["right"].tolist() == [False, True, False]


def prompts(tokenizer, questions=PAIRS, pool=PAIRS, **options):
    """What is read when these questions are asked."""
    model = Repeating(len(tokenizer))
    few_shot_answers(model, tokenizer, questions, pool, PATTERN, **options)
    return [tokenizer.decode(ids).removeprefix("<|endoftext|>") for ids in model.read]


def examples_of(prompt):
    """The questions and answers that a prompt shows before its question."""
    return [tuple(part.removeprefix("one ").split(", many ")) for part in prompt.split(". ")[:-1]]


def test_examples_are_those_of_fewer_shots_and_more_and_never_the_question(tokenizer):
    none, one, two = (prompts(tokenizer, shots=shots) for shots in (0, 1, 2))
    assert none == [PATTERN.replace("{}", question) for question in PAIRS["question"]]
    for question, first, more in zip(PAIRS["question"], one, two, strict=True):
        assert examples_of(first) == examples_of(more)[:1]
        asked = [example for example, _ in examples_of(more)]
        assert len(set(asked)) == 2
        assert question not in asked
    many = pd.DataFrame({"question": [f"q{n}" for n in range(20)], "answer": [str(n) for n in range(20)]})
    assert prompts(tokenizer, pool=many, shots=3) == prompts(tokenizer, pool=many, shots=3)
    assert prompts(tokenizer, pool=many, shots=3) != prompts(tokenizer, pool=many, shots=3, seed=1)


@pytest.mark.parametrize("shots", [1, 5])
def test_shuffled_examples_are_the_same_questions_with_answers_of_others(tokenizer, shots):
    answer_of = {f"q{n}": str(n) for n in range(12)}
    pool = pd.DataFrame({"question": list(answer_of), "answer": list(answer_of.values())})
    true, shuffled = (prompts(tokenizer, pool=pool, shots=shots, shuffled=each) for each in (False, True))
    for one, other in zip(true, shuffled, strict=True):
        assert [question for question, _ in examples_of(other)] == [question for question, _ in examples_of(one)]
        assert all(answer == answer_of[question] for question, answer in examples_of(one))
        assert not any(answer == answer_of[question] for question, answer in examples_of(other))
        assert len({answer for _, answer in examples_of(other)}) == shots


def test_what_cannot_be_asked_is_refused(model, tokenizer):
    with pytest.raises(InputError, match="shots: 3 are more than the 2 examples that there are"):
        few_shot_answers(model, tokenizer, PAIRS, PAIRS, PATTERN, shots=3)
    with pytest.raises(InputError, match="shots: 2 are more than the 1 examples that there are"):
        few_shot_answers(model, tokenizer, PAIRS, PAIRS, PATTERN, shots=2, shuffled=True)
    for prompts, answers in (([], []), (["one"], []), (["one"], [[]]), (["one"], [["a", ""]])):
        with pytest.raises(InputError, match=r"answers: .* prompts; give some"):
            answer_losses(model, tokenizer, prompts, answers)
    with pytest.raises(InputError, match="prompt: is empty"):
        answer_losses(model, tokenizer, [""], [["a"]])
    with pytest.raises(InputError, match="predicts no next token"):
        answer_losses(nn.Linear(2, 2), tokenizer, ["one"], [["a"]])


def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused(model, tokenizer):
    fits = "x" * 253  # with the token that begins a text, 254 of 256
    assert len(answer_losses(model, tokenizer, [fits], [["a"]])) == 1
    with pytest.raises(InputError, match="its 254 tokens and the 4 of an answer are more than the 256 that the model"):
        answer_losses(model, tokenizer, ["one", fits], [["a"], ["a", "zzz"]])
    with pytest.raises(InputError, match="more than the 256 that the model reads"):
        answer_losses(model, tokenizer, ["x" * 400], [["a"]])


def test_the_most_frequent_choice_is_the_same_whatever_is_asked():
    questions = pd.DataFrame({"question": ["a", "b"], "answer": ["x", "y"], "choices": [["x", "y"], ["y", "x"]]})
    found = frequent_answers(questions, ["x y y", "y x"])
    assert found["answer"].tolist() == ["y", "y"]
    assert found["right"].tolist() == [False, True]


def test_losses_are_finite_numbers_of_nats(model, tokenizer):
    assert np.isfinite(answer_losses(model, tokenizer, ["≤ 🙂"], [["0", "∞"]])).all()


def test_nouns_are_asked_for_themselves_or_their_plural():
    nouns = ["axis", "row", "matrix"]
    copied, plural = (noun_questions(task, nouns, seed=2) for task in ("copy", "plural"))
    assert copied["answer"].tolist() == nouns
    assert plural["answer"].tolist() == ["axes", "rows", "matrices"]
    for row in [*copied.to_dict("records"), *plural.to_dict("records")]:
        assert len(set(row["choices"])) == 4
        assert {row["question"], row["answer"], PLURALS[row["question"]]} <= set(row["choices"])
    assert len({row.index(answer) for row, answer in zip(plural["choices"], plural["answer"], strict=True)}) > 1


def test_of_each_section_there_are_as_many_sentences_and_one_of_a_document():
    sentences = pd.DataFrame(
        {
            "sentence": [f"{n} a b c" for n in range(18)],
            "section": ["notes", "raises", "other"] * 6,
            "document": [f"d{n // 3}" for n in range(18)],
        }
    )
    questions = section_questions(sentences, ["notes", "raises"], 3, words=2)
    assert questions["answer"].tolist() == ["notes"] * 3 + ["raises"] * 3
    numbers = questions["question"].str.removesuffix(" a").astype(int)
    assert (numbers % 3).tolist() == [0, 0, 0, 1, 1, 1]
    assert (numbers // 3).nunique() == 6
    assert questions["choices"].tolist() == [["notes", "raises"]] * 6
