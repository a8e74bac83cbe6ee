"""A kept classifier is loaded by `transformers.pipeline`, answers as it did, and its card says where it comes from."""

import json

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard
from transformers import pipeline

from largemodels.data import tasks
from largemodels.fine_tuning.card import command, model_card
from largemodels.fine_tuning.saved import labels_of, learnt_columns, lines_of_use, load_saved, probabilities
from largemodels.fine_tuning.saved import save_classifier as save
from largemodels.fine_tuning.trials import Trial, trial_table
from largemodels.models.checkpoints import CheckpointError
from largemodels.models.classifiers import classifier_on, predict
from small_corpus import encoder, examples, tokenizer

LABELS = ("array | any", "other")
LIMIT = 24


def task(folder, pair=False):
    """A task of the file `reviews.csv`, whose columns have names of their own."""
    rows = examples(120, seed=3)
    table = {"what they wrote": rows["text"], "verdict": [LABELS[label] for label in rows["label"]]}
    table |= {"their answer": rows["text"].iloc[::-1].to_numpy()} if pair else {}
    pd.DataFrame(table).to_csv(folder / "reviews.csv", index=False)
    columns = {"text_column": "what they wrote", "label_column": "verdict"}
    columns |= {"pair_column": "their answer"} if pair else {}
    return tasks.load(folder / "reviews.csv", **columns)


def card_of(task, start="pydocs-small", **parameters):
    """The card of a classifier that is right about three rows of four, beside words, which are right about half."""
    judged = task.frames[task.evaluation_split]
    truth = judged["label"].to_numpy()

    def trial(name, every):
        right = np.arange(len(truth)) % every != 0
        return Trial(name, np.log(np.where(np.where(right, truth, 1 - truth)[:, None] == np.arange(2), 0.9, 0.1)))

    table = trial_table([trial("pretrained", 4), trial("words", 2)], judged)
    return model_card(start, task, task.frames["train"], table, len(judged), parameters)


@pytest.fixture
def kept(tmp_path):
    """A classifier, its tokenizer, and the folder that holds both."""
    model = classifier_on(encoder(), LABELS)
    data = task(tmp_path)
    folder = save(tmp_path / "model", model, tokenizer(), max_length=LIMIT, task=data, card=card_of(data))
    return model, folder


def test_a_pipeline_answers_as_the_classifier_did(kept):
    model, folder = kept
    texts = examples(8, seed=5)
    expected = np.exp(predict(model, tokenizer(), texts, max_length=LIMIT))
    classify = pipeline("text-classification", str(folder), truncation=True)
    for answer, row in zip(classify(texts["text"].tolist(), top_k=None), expected, strict=True):
        assert {each["label"]: each["score"] for each in answer} == pytest.approx(dict(zip(LABELS, row, strict=True)))


def test_what_is_loaded_answers_row_by_row_and_leaves_blank_texts_without_an_answer(kept):
    model, folder = kept
    loaded, words = load_saved(folder)
    texts = examples(8, seed=5)
    texts.loc[3, "text"] = "  "
    answers = probabilities(loaded, words, texts)
    filled = np.arange(8) != 3
    assert answers[filled] == pytest.approx(
        np.exp(predict(model, tokenizer(), texts[filled].reset_index(drop=True), max_length=LIMIT)), abs=1e-6
    )
    assert np.isnan(answers[3]).all()
    assert labels_of(loaded) == list(LABELS)
    assert learnt_columns(loaded) == ("what they wrote",)


def test_a_longer_text_is_cut_at_the_limit_of_the_training(kept):
    _, folder = kept
    assert json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"] == LIMIT
    assert tokenizer().model_max_length != LIMIT
    loaded, words = load_saved(folder)
    answers = probabilities(loaded, words, pd.DataFrame({"text": ["the array returns a value " * 50]}))
    assert np.isfinite(answers).all()


def test_no_file_of_it_names_a_folder_of_this_machine(kept, tmp_path):
    for file in kept[1].glob("*.*"):
        if file.suffix != ".safetensors":
            assert str(tmp_path) not in file.read_text(), file.name


def test_the_card_has_data_results_command_and_metadata(kept):
    card = ModelCard.load(kept[1] / "README.md")
    (result,) = card.data.eval_results
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "text-classification"
    assert result.dataset_name == "reviews.csv"
    assert result.metric_type == "accuracy"
    for said in ("array \\| any", "| this classifier |", "| counting words |", "95% interval", "must not be used for"):
        assert said in card.text


def test_the_command_names_what_the_training_depends_on_and_no_folder(tmp_path):
    (tmp_path / "own reviews.csv").touch()
    given = {"dataset": str(tmp_path / "own reviews.csv"), "text_column": "", "epochs": 2, "rates": [0.1], "save": True}
    given |= {"checkpoints": str(tmp_path), "scratch": True, "words": False}
    said = command(given)
    lines = ["workbench run fine-tuning", "  -p 'dataset=own reviews.csv' -p epochs=2", "  -p save=true -p words=false"]
    assert said == " \\\n".join([*lines, "  -p studies=false"])
    assert str(tmp_path) not in said
    assert not {"text_column", "rates", "checkpoints", "scratch"} & set(said.replace("=", " ").split())


def test_the_licence_of_the_model_that_it_began_with_is_said_where_its_card_does(tmp_path):
    data = task(tmp_path)
    start = tmp_path / "start"
    encoder().save_pretrained(start)
    tokenizer().save_pretrained(start)
    assert "start, is not known here" in card_of(data, str(start))
    (start / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    assert "under the licence `apache-2.0`" in card_of(data, str(start))


def test_a_classifier_of_pairs_says_so_and_takes_two_texts(tmp_path):
    data = task(tmp_path, pair=True)
    folder = save(
        tmp_path / "model", classifier_on(encoder(), LABELS), tokenizer(), max_length=LIMIT, task=data, card="card"
    )
    assert learnt_columns(load_saved(folder)[0]) == ("what they wrote", "their answer")
    names = {}
    exec(lines_of_use(str(folder), data).replace("print(", "answer = ("), names)
    assert {each["label"] for each in names["answer"]} == set(LABELS)


def test_a_second_classifier_takes_the_place_of_the_first_and_a_failed_one_leaves_it(kept, tmp_path):
    _, folder = kept
    model = classifier_on(encoder(seed=1), LABELS)
    data = task(tmp_path)
    with pytest.raises(TypeError):
        save(folder, model, tokenizer(), max_length=LIMIT, task=data, card=None)
    assert (folder / "README.md").read_text().startswith("---")
    save(folder, model, tokenizer(), max_length=LIMIT, task=data, card="second")
    assert (folder / "README.md").read_text() == "second"
    assert {path.name for path in tmp_path.iterdir()} == {"model", "reviews.csv"}


def test_a_model_without_a_trained_head_answers_nothing(tmp_path):
    encoder().save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    with pytest.raises(CheckpointError, match="the weights are incomplete"):
        load_saved(tmp_path / "model")
