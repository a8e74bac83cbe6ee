"""Data as people have them are learnt from and judged on without a word about their form."""

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset

from largemodels.data import tasks
from largemodels.data.predictions import predictions_table
from largemodels.fine_tuning.trials import draw, run_trial, trial_table, word_trial
from largemodels.models.classifiers import classifier_on
from small_corpus import encoder, examples, tokenizer

HAN = "数组矩阵向量索引形状数值轴张量框架列"


def table(n=150):
    """Texts that are all different, since the same text may not stand in two splits, and their classes."""
    frame = examples(n)
    return frame.assign(text=[f"{text} {number}" for number, text in enumerate(frame["text"])])


def csv_with_words_for_labels(path):
    frame = table().assign(label=lambda frame: np.where(frame["label"] == 0, "array", "other"))
    frame.rename(columns={"text": "sentence", "label": "Category"}).to_csv(path / "reviews.csv", index=False)
    return path / "reviews.csv"


def tsv_with_a_number_of_each_row(path):
    frame = table().rename(columns={"text": "review", "label": "stars"})
    frame.rename_axis("id").reset_index().to_csv(path / "data.tsv", sep="\t", index=False)
    return path / "data.tsv"


def json_lines_with_booleans(path):
    frame = table().assign(label=lambda frame: frame["label"] == 1)
    frame.to_json(path / "data.jsonl", orient="records", lines=True)
    return path / "data.jsonl"


def parquet_of_unbalanced_classes(path):
    frame = table(400)
    frame[(frame["label"] == 0) | (frame.index % 20 == 1)].to_parquet(path / "data.parquet")
    return path / "data.parquet"


def saved_to_disk(path):
    Dataset.from_pandas(table(), preserve_index=False).save_to_disk(str(path / "saved"))
    return path / "saved"


def a_folder_with_a_test_split(path):
    table(120).to_csv(path / "train.csv", index=False)
    table(150).tail(30).to_csv(path / "test.csv", index=False)
    return path


def pairs_of_texts(path):
    frame = table()
    frame.assign(premise=frame["text"], hypothesis=frame["text"].iloc[::-1].to_numpy())[
        ["premise", "hypothesis", "label"]
    ].to_csv(path / "pairs.csv", index=False)
    return path / "pairs.csv"


def very_long_texts(path):
    table().assign(text=lambda frame: frame["text"] + " the array" * 3000).to_csv(path / "long.csv", index=False)
    return path / "long.csv"


def chinese(path):
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list(HAN), 12)) + f"，第{number}行。" for number in range(150)]
    pd.DataFrame({"文本": texts, "label": np.arange(150) % 3}).to_csv(path / "中文.csv", index=False)
    return path / "中文.csv"


FORMS = [
    csv_with_words_for_labels,
    tsv_with_a_number_of_each_row,
    json_lines_with_booleans,
    parquet_of_unbalanced_classes,
    saved_to_disk,
    a_folder_with_a_test_split,
    pairs_of_texts,
    very_long_texts,
    chinese,
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_task_is_learnt_and_judged(form, tmp_path):
    task = tasks.load(form(tmp_path))
    judged = task.frames[task.evaluation_split]
    learnt = draw(task.frames["train"], 1000, 0)
    network = encoder("bert")
    trials = [
        run_trial(
            "network",
            classifier_on(network, task.labels),
            tokenizer(),
            learnt,
            judged,
            epochs=1,
            max_length=64,
            validation=task.frames["validation"],
            batch_tokens=512,
        ),
        word_trial("words", learnt, judged, len(task.labels)),
    ]
    answers = predictions_table(judged, {trial.name: trial.log_probabilities for trial in trials}, task.labels)
    assert len(answers) == 2 * len(judged)
    assert answers.filter(like="log_p").notna().all(axis=None)
    found = trial_table(trials, judged, resamples=100)
    assert list(found["right"]) == list(answers.groupby("model", sort=False)["right"].sum())
