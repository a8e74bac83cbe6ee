"""The longest text of a network is learnt by trying, whatever its family is called and however it counts positions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig, AutoModel

from largemodels.models.lengths import UNLIMITED, length_limit

WIDE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
SIXTY_FOUR = {"max_position_embeddings": 64}
AFTER_PADDING = {"max_position_embeddings": 66, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
BART = {
    "d_model": 16,
    **{f"{part}_layers": 1 for part in ("encoder", "decoder")},
    **{f"{part}_ffn_dim": 16 for part in ("encoder", "decoder")},
    **{f"{part}_attention_heads": 2 for part in ("encoder", "decoder")},
}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}

TABLES = {
    "bert": WIDE | SIXTY_FOUR,
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64},
    "roberta": WIDE | AFTER_PADDING,
    "camembert": WIDE | AFTER_PADDING,
    "xlm-roberta": WIDE | AFTER_PADDING,
    "mpnet": WIDE | AFTER_PADDING,
    "bart": BART | SIXTY_FOUR,
    "deberta-v2": WIDE | SIXTY_FOUR,
}
RELATIVE = {"position_biased_input": False, "relative_attention": True}
WITHOUT_TABLE = {
    "modernbert": (WIDE | SIXTY_FOUR | {"pad_token_id": 0}, 64),
    "deberta-v2": (WIDE | SIXTY_FOUR | RELATIVE, 64),
    "t5": (T5, UNLIMITED),
    "xlnet": ({"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16}, UNLIMITED),
}


def network(family: str, config: dict):
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(family, vocab_size=50, **config)).eval()


def tokenizer(longest: float = 1e30) -> SimpleNamespace:
    """As much of a tokenizer as says how long a text may be."""
    return SimpleNamespace(model_max_length=int(longest))


def read(model, length: int) -> None:
    """Let the network read a text of so many tokens."""
    ids = torch.full((1, length), 3)
    reader = model.get_encoder() if model.config.is_encoder_decoder else model
    with torch.no_grad():
        reader(input_ids=ids, attention_mask=torch.ones_like(ids))


@pytest.mark.parametrize("family", TABLES)
def test_a_table_of_positions_is_read_to_its_end_and_no_further(family):
    model = network(family, TABLES[family])
    limit = length_limit(tokenizer(), model)
    assert limit.tokens == 64
    assert limit.reason.startswith("its table of positions has ")
    read(model, 64)
    with pytest.raises((IndexError, RuntimeError)):
        read(model, 65)


@pytest.mark.parametrize("family", WITHOUT_TABLE)
def test_relative_and_rotary_positions_have_the_limit_that_the_configuration_states(family):
    config, longest = WITHOUT_TABLE[family]
    limit = length_limit(tokenizer(), network(family, config))
    assert limit.tokens == longest
    assert "table" not in limit.reason


def test_the_stricter_of_tokenizer_and_network_counts():
    model = network("roberta", TABLES["roberta"])
    assert length_limit(tokenizer(20), model) == (20, "its tokenizer says so")
    said = length_limit(tokenizer(512), model).reason
    assert said == "its table of positions has 66 rows, 2 of them before the first token"
    assert length_limit(tokenizer(30), network("t5", T5)).tokens == 30


def test_trying_changes_neither_the_network_nor_the_random_numbers():
    model = network("bert", TABLES["bert"]).train()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    length_limit(tokenizer(), model)
    assert torch.rand(1) == expected
    assert model.training
