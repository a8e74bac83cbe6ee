"""The chapter on generation runs with decoders of the families that readers bring, from a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from transformers import AutoConfig, AutoModelForCausalLM

from amounts import GENERATION, write_data
from largemodels.models.loading import load_tokenizer

pytestmark = pytest.mark.usefixtures("warm_stack")
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
}
# As the families have them: a Llama begins and ends a text with tokens of their own, a Qwen begins it with none.
SPECIAL = {
    "llama": {"bos_token": "<s>", "eos_token": "</s>"},
    "qwen2": {"bos_token": None},
}


@pytest.mark.parametrize("family", SPECIAL)
def test_the_chapter_runs_with_a_decoder_of_this_family(root, tmp_path, family):
    tokenizer = load_tokenizer("pydocs-gpt")
    for name, token in SPECIAL[family].items():
        if token is None:
            setattr(tokenizer, name, None)
        else:
            tokenizer.add_special_tokens({name: token})
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = AutoConfig.for_model(family, vocab_size=len(tokenizer), **SHAPE, **ends)
    model = AutoModelForCausalLM.from_config(config)
    for kept in (model, tokenizer):
        kept.save_pretrained(tmp_path / "model")
    write_data(tmp_path)
    given = {**GENERATION, "model": str(tmp_path / "model"), "corpus": str(tmp_path / "letters.txt")}
    (tmp_path / "parameters.yml").write_text(yaml.safe_dump(given))
    command = [sys.executable, "-m", "workbench.cli.app", "run", "generation", "-f", str(tmp_path / "parameters.yml")]
    environment = {**os.environ, "WORKBENCH_RUNS": str(tmp_path / "runs")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr

    (run,) = (tmp_path / "runs" / "generation").glob("*/generation.ipynb")
    cells = {cell["id"]: cell for cell in json.loads(run.read_text())["cells"]}
    said = "".join(cells["prompt-any-model"]["outputs"][0]["data"]["text/plain"])
    assert family in said
    assert ("<s>" if family == "llama" else "<|endoftext|>") in said
