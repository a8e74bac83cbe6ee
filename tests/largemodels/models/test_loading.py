"""A model is loaded whole, in float32 and without running anything of others, or refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

import small_decoders
from largemodels.models import checkpoints, loading
from largemodels.models.checkpoints import CheckpointError
from largemodels.models.files import parameters_in


def test_every_shipped_model_is_one_that_loads():
    loaders = {"pydocs-small": loading.load_masked_lm, "pydocs-gpt": loading.load_causal_lm}
    assert set(checkpoints.shipped()) == set(loaders)
    for name, load in loaders.items():
        loading.check_fit(name, loading.load_tokenizer(name), load(name))


def test_a_folder_is_loaded_as_each_kind_of_model(folder):
    tokenizer = loading.load_tokenizer(folder)
    batch = tokenizer(["the sum of two arrays", "good"], padding=True, return_tensors="pt")
    masked = loading.load_masked_lm(folder)
    encoder = loading.load_encoder(folder)
    classifier = loading.load_classifier(folder, ["no", "yes", "perhaps"], seed=1)
    assert masked(**batch).logits.shape == (2, 7, 13)
    assert encoder(**batch).last_hidden_state.shape == (2, 7, 16)
    assert classifier(**batch).logits.shape == (2, 3)
    assert classifier.config.id2label == {0: "no", 1: "yes", 2: "perhaps"}
    assert classifier.config.label2id["perhaps"] == 2
    assert {parameter.dtype for parameter in masked.parameters()} == {torch.float32}
    assert not masked.training
    body = masked.base_model.embeddings.word_embeddings.weight
    assert torch.equal(classifier.base_model.embeddings.word_embeddings.weight, body)
    again = loading.load_classifier(folder, ["no", "yes", "perhaps"], seed=1)
    assert torch.equal(again.classifier.weight, classifier.classifier.weight)
    loading.check_fit(folder, tokenizer, masked)
    stored = sum(parameter.numel() for parameter in masked.parameters())
    assert parameters_in(folder) == stored


def test_the_seed_of_a_head_gives_the_same_head_and_leaves_other_generators_alone(folder):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = (loading.load_classifier(folder, ["no", "yes"], seed=seed) for seed in (1, 1, 2))
    assert torch.rand(1) == expected
    assert torch.equal(one.classifier.weight, same.classifier.weight)
    assert not torch.equal(one.classifier.weight, other.classifier.weight)
    torch.manual_seed(1)
    unseeded = loading.load_classifier(folder, ["no", "yes"])
    assert torch.equal(unseeded.classifier.weight, one.classifier.weight)


def test_a_classifier_that_was_kept_comes_back_with_its_head_or_gets_one_for_other_labels(folder, tmp_path):
    classifier = loading.load_classifier(folder, ["no", "yes"], seed=1)
    classifier.save_pretrained(tmp_path / "kept")
    loading.load_tokenizer(folder).save_pretrained(tmp_path / "kept")
    kept = loading.load_classifier(tmp_path / "kept", ["no", "yes"], seed=2)
    assert torch.equal(kept.classifier.weight, classifier.classifier.weight)
    assert loading.load_classifier(tmp_path / "kept", ["a", "b", "c"], seed=2).classifier.out_features == 3
    with pytest.raises(CheckpointError, match="has no trained masked-language head"):
        loading.load_masked_lm(tmp_path / "kept")
    with pytest.raises(CheckpointError, match="needs two or more different labels"):
        loading.load_classifier(folder, ["same", "same"])


def test_a_tokenizer_of_another_model_does_not_fit(folder):
    tokenizer, model = loading.load_tokenizer(folder), loading.load_masked_lm(folder)
    tokenizer.add_tokens(["more"])
    with pytest.raises(CheckpointError, match="it has 14 tokens and the model rows for 13"):
        loading.check_fit("mine", tokenizer, model)
    tokenizer = loading.load_tokenizer(folder)
    tokenizer.pad_token = "[SEP]"
    with pytest.raises(CheckpointError, match=r"disagree on padding \(ids 3 and 0\)"):
        loading.check_fit("mine", tokenizer, model)


def test_a_model_too_large_for_the_memory_is_refused_before_it_is_loaded(folder, monkeypatch):
    memory, parameters = psutil.virtual_memory(), parameters_in(folder)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=16 * parameters - 1))
    with pytest.raises(CheckpointError, match=r"takes at least 0\.0 GiB of memory to train, and 0\.0 GiB are free"):
        loading.load_classifier(folder, ["no", "yes"])
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=4 * parameters - 1))
    with pytest.raises(CheckpointError, match=r"takes at least 0\.0 GiB of memory to load"):
        loading.load_encoder(folder)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=4 * parameters))
    assert loading.load_encoder(folder).config.hidden_size == 16


def edit_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_is_no_safe_model_is_refused_in_one_sentence(folder, tmp_path):
    def said(name: object = folder) -> str:
        with pytest.raises(CheckpointError) as caught:
            loading.load_masked_lm(name)
        assert "\n" not in str(caught.value)
        assert caught.value._render_traceback_() == [f"Checkpoint error: {caught.value}"]
        return str(caught.value)

    weights = (folder / "model.safetensors").read_bytes()
    for damaged in (weights[:-100], weights[:4], b"", b"\xff" * 400):
        (folder / "model.safetensors").write_bytes(damaged)
        assert "damaged or cut off" in said()
    (folder / "model.safetensors").unlink()
    assert "holds no model.safetensors, and no other weights either" in said()
    torch.save({}, folder / "pytorch_model.bin")
    assert "holds no model.safetensors, only pytorch_model.bin, which can run code when it is read" in said()
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    edit_config(folder, model_type="mine", auto_map={"AutoModelForMaskedLM": "mine.Mine", "AutoConfig": "mine.Mine"})
    assert "needs a program that comes with it (remote code), which is never run" in said()
    edit_config(folder, model_type="mine", auto_map=None)
    assert "its model cannot be loaded (" in said()
    (folder / "config.json").write_text("{")
    assert "its config.json cannot be read" in said()
    (folder / "config.json").unlink()
    assert "holds no config.json" in said()
    assert not (tmp_path / "ran").exists()
    assert "is a file, and a model is a folder" in said(folder / "mine.py")
    assert "is neither a model" in said(tmp_path / "missing")


def test_weights_in_parts_and_in_half_precision_are_loaded_whole_as_float32(folder):
    whole = loading.load_masked_lm(folder).state_dict()
    loading.load_masked_lm(folder).to(torch.bfloat16).save_pretrained(folder / "parts", max_shard_size="8KB")
    loading.load_tokenizer(folder).save_pretrained(folder / "parts")
    assert len(list((folder / "parts").glob("model-*.safetensors"))) > 1
    classifier = loading.load_classifier(folder / "parts", ["no", "yes"], seed=0)
    assert {weight.dtype for weight in classifier.parameters()} == {torch.float32}
    expected = whole["bert.embeddings.word_embeddings.weight"].bfloat16().float()
    assert torch.equal(classifier.bert.embeddings.word_embeddings.weight, expected)


def test_a_configuration_of_other_weights_is_one_sentence(folder):
    edit_config(folder, vocab_size=20)
    with pytest.raises(CheckpointError, match=r"disagree on the shape of .*word_embeddings\.weight"):
        loading.load_classifier(folder, ["no", "yes"])


def test_a_tokenizer_that_knows_no_word_is_refused(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    with pytest.raises(CheckpointError, match="its tokenizer knows no word"):
        loading.load_tokenizer(folder)


def test_weights_that_lack_a_layer_are_incomplete(folder):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if ".layer.1." not in name}
    assert len(kept) < len(tensors)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    for load in (loading.load_encoder, lambda name: loading.load_classifier(name, ["no", "yes"])):
        with pytest.raises(CheckpointError, match="the weights are incomplete"):
            load(folder)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2"])
def test_a_causal_model_is_loaded_with_its_head_or_refused_where_a_layer_lacks(family, tmp_path):
    from safetensors.torch import load_file, save_file

    made = small_decoders.decoder(family)
    made.save_pretrained(tmp_path)
    loading.load_tokenizer("pydocs-small").save_pretrained(tmp_path)
    loaded = loading.load_causal_lm(tmp_path)
    tokens = torch.tensor([[3, 1, 4, 1, 5]])
    assert torch.equal(loaded(tokens).logits, made(tokens).logits)
    assert not loaded.training
    assert loading.is_causal(loaded)
    tensors = load_file(tmp_path / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if ".1." not in name}
    assert 0 < len(kept) < len(tensors)
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="the weights are incomplete"):
        loading.load_causal_lm(tmp_path)


def test_an_encoder_given_as_a_decoder_is_one_sentence(folder, tmp_path):
    t5 = T5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(t5).save_pretrained(tmp_path / "t5")
    loading.load_tokenizer("pydocs-small").save_pretrained(tmp_path / "t5")
    for family, name in {"modernbert": "pydocs-small", "bert": folder, "t5": tmp_path / "t5"}.items():
        with pytest.raises(CheckpointError, match=rf": is no decoder \({family} does not predict") as caught:
            loading.load_causal_lm(name)
        assert "\n" not in str(caught.value)
    masked = loading.load_masked_lm(folder)
    assert not loading.is_causal(masked)
    edit_config(folder, is_decoder=True)
    assert loading.is_causal(loading.load_causal_lm(folder))
