"""Checkpoints of the families that the field uses, tiny and with random weights, as the tests need them."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from small_corpus import examples, tokenizer

WIDE = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
FAMILIES = {
    "bert": WIDE,
    "roberta": WIDE,
    "distilbert": {"dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 64},
    "albert": {**WIDE, "embedding_size": 16},
    "electra": {**WIDE, "embedding_size": 16},
    "modernbert": WIDE,
    "gpt2": {"n_embd": 32, "n_layer": 1, "n_head": 2},
}
POSITIONS = {"gpt2": "n_positions"}


def byte_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Byte pairs, as RoBERTa and GPT-2 have them; GPT-2's knows an end of text and nothing else."""
    special = ["<|endoftext|>"] if family == "gpt2" else ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel()
    pairs.decoder = decoders.ByteLevel()
    pairs.train_from_iterator(
        examples()["text"],
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    if family == "gpt2":
        return PreTrainedTokenizerFast(
            tokenizer_object=pairs, bos_token=special[0], eos_token=special[0], model_max_length=64
        )
    pairs.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = dict(
        zip(("cls_token", "pad_token", "sep_token", "unk_token", "mask_token"), special, strict=True),
        bos_token="<s>",
        eos_token="</s>",
    )
    return PreTrainedTokenizerFast(tokenizer_object=pairs, model_max_length=64, **names)


def checkpoint(family: str, folder: Path) -> Path:
    """A folder with a network of the family, with random weights, and its tokenizer, as the family's are published."""
    words = byte_tokenizer(family) if family in ("roberta", "gpt2") else tokenizer()
    if family != "gpt2":
        padding = {"pad_token_id": words.pad_token_id, "cls_token_id": words.cls_token_id}
    else:
        padding = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    positions = {POSITIONS.get(family, "max_position_embeddings"): 64 + (2 if family == "roberta" else 0)}
    config = AutoConfig.for_model(family, vocab_size=len(words), **FAMILIES[family], **positions, **padding)
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
