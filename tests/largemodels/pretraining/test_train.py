"""Training learns, resumes where it stopped and ends as it would have; what is saved reads as it was; nothing leaks."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback

import small_corpus
from interruptions import Interrupted, PullThePlug
from largemodels.pretraining.masked_lm import masked_tokens, unigram_entropy
from largemodels.pretraining.next_sentence import IS_NEXT, judged_pairs, sentence_pairs
from largemodels.pretraining.train import PretrainingRecipe, pretrain, pretrain_pairs, save_encoder
from small_corpus import NOUNS, corpus, text, tokenizer

RECIPE = PretrainingRecipe(steps=12, batch_tokens=256, learning_rate=5e-3)


def encoder(architecture="modern", **options):
    return small_corpus.encoder(architecture, **{"hidden_size": 16, "num_layers": 2} | options)


@pytest.mark.parametrize("architecture", ["modern", "bert"])
def test_training_gets_below_the_unigram_entropy_on_text_it_has_not_seen(architecture):
    model = encoder(architecture, hidden_size=32)
    held_out = text(seed=1)
    recipe = PretrainingRecipe(steps=150, batch_tokens=1024, learning_rate=1e-2)
    history = pretrain(model, tokenizer(), text(documents=200), recipe, validation=held_out, evaluations=2)
    last = history.iloc[-1]
    assert last["step"] == 150
    assert last["validation_loss"] < unigram_entropy(tokenizer(), held_out) - 0.5
    assert masked_tokens(model, tokenizer(), held_out)["loss"].mean() == pytest.approx(
        last["validation_loss"], rel=1e-5
    )


def test_interrupted_training_resumes_where_it_stopped_and_ends_at_the_same_weights(tmp_path):
    sequences, held_out = text(), text(seed=1)
    options = {"validation": held_out, "evaluations": 3, "saves": 4}
    straight = encoder()
    whole = pretrain(straight, tokenizer(), sequences, RECIPE, folder=tmp_path / "whole", **options)

    folder = tmp_path / "interrupted"
    with pytest.raises(Interrupted):
        pretrain(encoder(), tokenizer(), sequences, RECIPE, folder=folder, callbacks=[PullThePlug(8)], **options)
    resumed = encoder(seed=1)  # its weights come from the checkpoint
    torch.rand(17)  # and nothing depends on what was drawn in between
    steps = []

    class Count(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            steps.append(state.global_step)

    history = pretrain(resumed, tokenizer(), sequences, RECIPE, folder=folder, callbacks=[Count()], **options)
    assert steps == [7, 8, 9, 10, 11, 12]  # the last checkpoint was at 6
    pd.testing.assert_frame_equal(history, whole)
    for name, expected in straight.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], expected, rtol=0, atol=0)


def test_a_folder_with_another_recipe_is_not_continued(tmp_path):
    pretrain(encoder(), tokenizer(), text(), dataclasses.replace(RECIPE, steps=2), folder=tmp_path)
    with pytest.raises(ValueError, match=r"holds a training with steps 2, not 12; give another folder"):
        pretrain(encoder(), tokenizer(), text(), RECIPE, folder=tmp_path)
    for damaged in ("[" * 100_000, "[]", ""):
        (tmp_path / "recipe.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"recipe.json: cannot be read \(it holds no JSON object\)$"):
            pretrain(encoder(), tokenizer(), text(), RECIPE, folder=tmp_path)


def test_a_seed_decides_the_training_and_another_changes_it():
    losses = [
        pretrain(encoder(), tokenizer(), text(), dataclasses.replace(RECIPE, steps=3, seed=seed))["loss"].tolist()
        for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_the_learning_rate_rises_and_then_falls_to_zero():
    recipe = PretrainingRecipe(steps=20, batch_tokens=128, learning_rate=1e-3, warmup=0.25)
    rates = pretrain(encoder(), tokenizer(), text(), recipe)["learning_rate"].to_numpy()
    assert rates.argmax() == 4 or rates.argmax() == 5
    assert rates.max() == pytest.approx(1e-3)
    assert (np.diff(rates[:5]) > 0).all()
    assert (np.diff(rates[6:]) < 0).all()


def test_tokens_are_counted_without_padding():
    history = pretrain(encoder(), tokenizer(), text(), dataclasses.replace(RECIPE, steps=4))
    assert 0.8 * 4 * 256 < history["tokens"].iloc[-1] <= 4 * 256


# Pairs


def test_a_model_with_two_classes_learns_what_follows_what():
    """Each document keeps to one of five words, so the pair has to be compared; neither sentence tells by itself."""
    frame = corpus(documents=300)
    frame["sentence"] = [NOUNS[int(document.partition(":")[2]) % 5] for document in frame["document"]]
    pairs, held_out = sentence_pairs(frame[: len(frame) // 2]), sentence_pairs(frame[len(frame) // 2 :])
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(encoder(hidden_size=32).config)
    recipe = PretrainingRecipe(steps=150, batch_tokens=1024, learning_rate=3e-3)
    history = pretrain_pairs(model, tokenizer(), pairs, recipe, validation=held_out, evaluations=1)
    judged = judged_pairs(model, tokenizer(), held_out)
    assert judged["correct"].mean() > 0.75  # 0.87 is the most: false pairs can be of one word, too
    assert history["validation_accuracy"].iloc[-1] == judged["correct"].mean()
    assert history["validation_loss"].iloc[-1] == pytest.approx(judged["loss"].mean(), rel=1e-5)
    assert ((judged["probability"] > 0.5) == (judged["label"] == IS_NEXT)).equals(judged["correct"])


# What is kept


@pytest.mark.parametrize("architecture", ["modern", "bert"])
def test_a_saved_model_is_small_reads_as_float32_and_predicts_the_same(architecture, tmp_path):
    model, sequences = encoder(architecture), text()
    folder = save_encoder(model, tokenizer(), tmp_path / "model")
    save_encoder(model, tokenizer(), folder)  # an existing one is replaced
    assert list(tmp_path.iterdir()) == [folder]
    parameters = sum(p.numel() for p in model.parameters())
    assert (folder / "model.safetensors").stat().st_size < 2 * parameters + 10_000
    assert "decoder.weight" not in load_file(folder / "model.safetensors"), "tied to the embeddings, it is saved once"
    loaded = AutoModelForMaskedLM.from_pretrained(folder)
    assert loaded.dtype == torch.float32
    before, after = (
        masked_tokens(m, AutoTokenizer.from_pretrained(folder), sequences)["loss"] for m in (model, loaded)
    )
    assert after.mean() == pytest.approx(before.mean(), abs=1e-3)


def test_a_model_that_cannot_be_saved_whole_leaves_nothing_and_replaces_nothing(tmp_path, monkeypatch):
    kept = save_encoder(encoder(), tokenizer(), tmp_path / "model")
    before = (kept / "model.safetensors").read_bytes()

    def disk_full(*arguments, **options):
        raise OSError("no space left on device")

    monkeypatch.setattr(type(tokenizer()), "save_pretrained", disk_full)
    with pytest.raises(OSError, match="no space left"):
        save_encoder(encoder(seed=1), tokenizer(), kept)
    assert list(tmp_path.iterdir()) == [kept]
    assert (kept / "model.safetensors").read_bytes() == before
