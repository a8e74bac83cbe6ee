"""What cannot be gone on from is refused by the generation chapter in one sentence, before anything is trained."""

from __future__ import annotations

from functools import partial

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from fake_hub import tiny_decoder
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.contract import load_contract

WORDS = "return the number of dimensions of an array"


@pytest.fixture
def refused(refused_by):
    """What the real chapter says to these parameters."""
    return partial(refused_by, "generation", "training-run")


@pytest.fixture
def gpt2(tmp_path):
    """The folder of a decoder that reads 64 tokens."""
    tiny_decoder(tmp_path / "gpt2", WORDS)
    return tmp_path / "gpt2"


def test_a_prompt_that_leaves_no_room_for_another_token(refused, gpt2):
    sentence = refused(model=gpt2, prompt="array " * 70)
    assert f"tokens leave no room for two more in the 64 that {gpt2} reads; shorten it" in sentence
    sentence = refused(prompt="array " * 130)
    assert "tokens leave no room for two more in the 128 that the decoder trained here reads; shorten it" in sentence


def test_a_tokenizer_that_ends_no_text(refused, gpt2):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(gpt2)
    tokenizer.add_special_tokens({"pad_token": "."})
    tokenizer.eos_token = None
    tokenizer.save_pretrained(gpt2)
    assert f"model: the tokenizer of {gpt2} has no end-of-text token" in refused(model=gpt2)


def test_a_prompt_that_the_tokenizer_cannot_spell(refused, gpt2):
    words = Tokenizer(models.WordLevel({word: place for place, word in enumerate(["?", ".", *WORDS.split()])}, "?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?", eos_token=".").save_pretrained(gpt2)
    sentence = refused(model=gpt2, prompt="the number of wolves")
    assert "the tokenizer cannot spell 'the number of wolves', some of it would be read as ?" in sentence


def test_an_encoder_given_as_a_decoder(refused):
    assert "pydocs-small: is no decoder" in refused(model="pydocs-small")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"key_value_heads": 3}, "key_value_heads: 3 does not divide num_heads, 4"),
        ({"hidden_size": 100}, "width: 100 is not a multiple of 8, for 4 heads"),
        ({"max_length": 8}, "max_length: 8 is not at least 16"),
        ({"batch_tokens": 100}, "batch_tokens: 100 is less than max_length, 128"),
        ({"held_out": 5}, "held_out: 5 is not at least 20"),
        ({"copies": []}, "copies: is empty; give at least one number of copies"),
        ({"written": 60}, "written: 60 is not between 8 and 47, what "),
    ],
)
def test_numbers_that_make_no_decoder_or_no_training(refused, gpt2, parameters, said):
    assert said in refused(model=gpt2, **parameters)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("prompt", " ", "the value is empty"), ("top_p", "0", "0.* is not "), ("top_p", "1.5", "1.5 is not ")],
)
def test_what_its_type_refuses_is_seen_from_the_request_alone(root, gpt2, name, value, said):
    with pytest.raises(RequestError, match=rf"^{name}: {said}"):
        load_contract(Project(root), "generation").resolve({"model": str(gpt2), name: value})
