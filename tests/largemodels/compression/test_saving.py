"""A compressed classifier that is kept and loaded answers the same, and what is damaged is refused in one sentence."""

import copy
import json

import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.compression.backends import int8
from largemodels.compression.low_rank import factorize_linear_layers
from largemodels.compression.quantization import quantize_linear_layers
from largemodels.compression.saving import LAYERS, WEIGHTS, is_compressed, load_compressed, save_compressed
from largemodels.compression.structured import keep_layers, remove_units, strongest, unit_importance
from largemodels.fine_tuning.saved import labels_of, probabilities
from largemodels.models.checkpoints import CheckpointError, check_name
from small_classifiers import batches, classifier, logits
from small_corpus import examples, tokenizer


def without_heads(model):
    return remove_units(model, "heads", strongest(unit_importance(model, batches(8), "heads"), 2))


WAYS = {
    "int8": lambda model: int8(model),
    "int8, one scale": lambda model: int8(model, per_channel=False),
    "weights in 8 bits": lambda model: quantize_linear_layers(model, 8),
    "weights in 4 bits, groups": lambda model: quantize_linear_layers(model, 4, 16),
    "weights in 3 bits, symmetric": lambda model: quantize_linear_layers(model, 3, 16, symmetric=True),
    "factors": lambda model: factorize_linear_layers(model, 8),
    "fewer heads": without_heads,
    "fewer heads and layers, factors, int8": lambda model: int8(
        factorize_linear_layers(keep_layers(without_heads(model), [0, 2]), 4)
    ),
    "nothing": lambda model: model,
}


def kept(folder, way, family="modernbert"):
    model = WAYS[way](classifier(family))
    save_compressed(folder / "model", model, tokenizer(), max_length=32, made=way)
    return model


@pytest.mark.parametrize("family", ["modernbert", "bert"])
@pytest.mark.parametrize("way", WAYS)
def test_a_compressed_classifier_answers_the_same_when_it_is_loaded(tmp_path, way, family):
    model = kept(tmp_path, way, family)
    assert is_compressed(tmp_path / "model")
    again, words = load_compressed(tmp_path / "model")
    for batch in batches():
        assert torch.equal(logits(again, batch), logits(model, batch))
    assert words.model_max_length == 32
    assert json.loads((tmp_path / "model" / LAYERS).read_text())["made"] == way


def test_what_answers_texts_takes_it(tmp_path):
    kept(tmp_path, "int8")
    model, words = load_compressed(tmp_path / "model")
    asked = examples(5)
    asked.loc[2, "text"] = " "
    answered = probabilities(model, words, asked)
    assert answered.shape == (5, 2)
    assert list(map(bool, torch.tensor(answered[:, 0]).isnan())) == [False, False, True, False, False]
    assert labels_of(model) == ["with", "without"]


def test_a_smaller_model_takes_fewer_bytes(tmp_path):
    sizes = {way: (kept(tmp_path / str(n), way), (tmp_path / str(n) / "model" / WEIGHTS).stat().st_size)[1]
             for n, way in enumerate(("nothing", "weights in 8 bits", "weights in 4 bits, groups"))}  # fmt: skip
    assert sizes["weights in 4 bits, groups"] < sizes["weights in 8 bits"] < sizes["nothing"]


def test_nothing_takes_it_for_an_ordinary_model(tmp_path):
    kept(tmp_path, "weights in 8 bits")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        check_name(str(tmp_path / "model"))
    from transformers import AutoModelForSequenceClassification

    with pytest.raises(OSError, match=r"model\.safetensors"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")


def test_a_folder_of_another_model_is_not_compressed(tmp_path):
    classifier().save_pretrained(tmp_path)
    assert not is_compressed(tmp_path)
    with pytest.raises(InputError, match=LAYERS):
        load_compressed(tmp_path)


def spoil(folder, change):
    description = json.loads((folder / LAYERS).read_text())
    change(description)
    (folder / LAYERS).write_text(json.dumps(description))


@pytest.mark.parametrize(
    "change",
    [
        lambda described: described.update(format=99),
        lambda described: described.pop("layers"),
        lambda described: described["layers"].popitem(),
        lambda described: next(iter(described["layers"].values())).update(kind="program"),
        lambda described: next(iter(described["layers"].values())).update(shape=[1, 2]),
        lambda described: next(iter(described["layers"].values())).update(shape=[10**9, 10**9]),
        lambda described: next(iter(described["layers"].values())).pop("bits"),
        lambda described: described["layers"].update({"model.nowhere": {"kind": "linear", "shape": [2, 2], "bias": 0}}),
        lambda described: described.update(layers=[1]),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path, change):
    kept(tmp_path, "weights in 4 bits, groups")
    spoil(tmp_path / "model", change)
    with pytest.raises(InputError) as refused:
        load_compressed(tmp_path / "model")
    assert "\n" not in str(refused.value)
    assert str(tmp_path / "model") in str(refused.value)


def test_damaged_weights_are_refused(tmp_path):
    kept(tmp_path, "int8")
    weights = tmp_path / "model" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be loaded"):
        load_compressed(tmp_path / "model")
    weights.unlink()
    with pytest.raises(InputError, match=WEIGHTS):
        load_compressed(tmp_path / "model")


def test_a_layer_that_cannot_be_kept_is_refused(tmp_path):
    model = classifier()
    model.classifier = torch.nn.Sequential(copy.deepcopy(model.classifier))
    with pytest.raises(InputError, match="classifier"):
        save_compressed(tmp_path / "model", model, tokenizer(), max_length=32, made="otherwise")
    assert not (tmp_path / "model").exists()
