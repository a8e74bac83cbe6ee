"""Checkpoints of the families that the field uses load, learn and predict, each with a tokenizer of its own kind."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from largemodels.models.classifiers import fine_tune, predict
from largemodels.models.loading import load_classifier, load_tokenizer, longest_text
from largemodels.models.training import Recipe
from small_checkpoints import FAMILIES, checkpoint
from small_corpus import NOUNS, examples


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_of_the_family_learns_what_it_has_not_seen(family, tmp_path):
    folder, held_out = checkpoint(family, tmp_path), examples(seed=1)
    words, model = load_tokenizer(folder), load_classifier(folder, ["with", "without"])
    assert longest_text(words, model) == 64
    recipe = Recipe(steps=120, batch_tokens=512, learning_rate=5e-3)
    fine_tune(model, words, examples(), recipe, max_length=64)
    together = predict(model, words, held_out, max_length=64, batch_tokens=256)
    assert (together.argmax(1) == held_out["label"]).mean() > 0.9
    alone = np.concatenate([predict(model, words, held_out[i : i + 1], max_length=64) for i in range(20)])
    np.testing.assert_allclose(together[:20], alone, atol=1e-4)  # padding, where there is some, changes nothing


@pytest.mark.parametrize("family", FAMILIES)
def test_the_longest_text_that_the_family_reads_is_read(family, tmp_path):
    folder = checkpoint(family, tmp_path)
    words, model = load_tokenizer(folder), load_classifier(folder, ["with", "without"])
    long = pd.DataFrame({"text": [" ".join(NOUNS * 20)]})
    assert np.isfinite(predict(model, words, long, max_length=longest_text(words, model))).all()
