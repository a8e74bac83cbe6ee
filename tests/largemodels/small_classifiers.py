"""A small classifier of each family that can be made smaller, with random weights large enough to matter."""

from __future__ import annotations

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from largemodels.models.batches import LabelledBatches
from small_corpus import examples, tokenizer

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}


def classifier(family: str = "modernbert", seed: int = 0, **options) -> PreTrainedModel:
    """Three layers with four heads of eight components and 48 neurons."""
    words = tokenizer()
    special = {"pad_token_id": words.pad_token_id, "cls_token_id": words.cls_token_id, "vocab_size": len(words)}
    config = AutoConfig.for_model(family, max_position_embeddings=64, **special, **SIZES | options)
    config.id2label, config.label2id = {0: "with", 1: "without"}, {"with": 0, "without": 1}
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(12)
    return model


def batches(n: int = 24, batch_tokens: int = 128) -> list[dict[str, torch.Tensor]]:
    """Labelled texts of different lengths, with padding."""
    return list(LabelledBatches(examples(n), tokenizer(), max_length=32, batch_tokens=batch_tokens))


@torch.no_grad()
def logits(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
