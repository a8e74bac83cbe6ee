"""Causal models of the families that readers bring, tiny and with random weights, as the tests need them."""

from __future__ import annotations

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from largemodels.generation.decoder import Decoder, DecoderShape

VOCABULARY, CONTEXT = 40, 64
OF_TRANSFORMERS = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT},
    "llama": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": CONTEXT,
    },
}
OF_TRANSFORMERS["qwen2"] = OF_TRANSFORMERS["llama"]
FAMILIES = ["ours", *OF_TRANSFORMERS]


def decoder(family: str, *, vocabulary: int = VOCABULARY, seed: int = 1, spread: float = 16.0) -> nn.Module:
    """A causal model of the family in evaluation mode; `spread` times the usual size of its matrices.

    So its distributions are far from uniform, and its most probable token from a tie.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if family == "ours":
            model = Decoder(DecoderShape(vocabulary, 32, 2, 4, 2, 48, CONTEXT), seed=seed)
        else:
            special = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
            config = AutoConfig.for_model(family, vocab_size=vocabulary, **OF_TRANSFORMERS[family], **special)
            model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in {id(parameter): parameter for parameter in model.parameters() if parameter.ndim == 2}.values():
            weight *= spread
    return model.eval()
