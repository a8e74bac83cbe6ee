"""Two domains have the same classes, their parts are kept apart, and texts that stand in both are found."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from largemodels.base.errors import InputError
from largemodels.data import corpora
from largemodels.data.predictions import example_ids
from largemodels.domain_adaptation.domains import (
    as_reading,
    corpus_text,
    draw_pair,
    leaked,
    load_domain,
    with_labels_of,
)
from small_corpus import corpus, examples

DATA = Path(__file__).parents[4] / "shared" / "data"


def written(folder, name, table=None):
    path = folder / f"{name}.csv"
    (examples(120) if table is None else table).assign(
        label=lambda rows: rows["label"].map({0: "array", 1: "other"})
    ).to_csv(path, index=False)
    return str(path)


@pytest.fixture
def pair(tmp_path):
    """A source and a target of other texts."""
    other = examples(160, seed=5).assign(text=lambda rows: "joins reads " + rows["text"])
    source, target = (load_domain(written(tmp_path, name, table)) for name, table in (("here", None), ("there", other)))
    return source, with_labels_of(source, target)


def drawn(pair, seed=0, **sizes):
    given = {"labelled": 40, "unlabelled": 50, "few": 10, "judged": 12} | sizes
    return draw_pair(*pair, as_reading(examples(20, seed=9)), seed=seed, **given)


def test_a_file_is_a_domain_of_its_own_texts(tmp_path):
    found = load_domain(written(tmp_path, "here"))
    assert found.name == "here.csv"
    assert found.labels == ("array", "other")
    assert set(found.reading["sentence"]) == set(found.train["text"])
    assert set(found.held_out["sentence"]) == set(found.validation["text"])
    assert found.reading["document"].is_unique, "each text is a document, so that none is joined to another"


def test_data_whose_test_labels_are_secret_are_judged_by_their_validation_split(tmp_path):
    folder = tmp_path / "split"
    folder.mkdir()
    for name, table in (("train", examples(100)), ("validation", examples(40, seed=1))):
        written(folder, name, table)
    found = load_domain(str(folder))
    assert set(found.test["text"]) <= set(examples(40, seed=1)["text"])
    assert len(found.validation) == 10
    assert not set(found.validation.index) & set(found.train.index)
    assert set(found.validation["text"]) <= set(examples(100)["text"])


def test_the_documentation_is_a_domain_by_library():
    found = load_domain("pydocs-sections", ["datasets"])
    assert set(found.train["library"]) == set(found.reading["library"]) == {"datasets"}
    assert len(found.reading) > len(found.train), "sentences without a label are read too"
    parts = [set(part["document"]) for part in (found.reading, found.held_out, found.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_a_corpus_is_read_by_split_and_library(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(corpus()["sentence"]))
    everything = [corpus_text(str(path), ["ignored"], split) for split in ("train", "validation", "test")]
    assert sum(map(len, everything)) > 50
    assert list(everything[0]) == ["sentence", "document", "library"]
    path.write_text("one sentence only .")
    (split,) = corpora.sentences(str(path))["split"]
    with pytest.raises(InputError, match="has no text to read"):
        corpus_text(str(path), split="test" if split == "train" else "train")


def test_classes_get_the_sources_numbers(pair):
    source, target = pair
    turned = dataclasses.replace(
        target,
        labels=target.labels[::-1],
        **{name: getattr(target, name).eval("label = 1 - label") for name in ("train", "validation", "test")},
    )
    found = with_labels_of(source, turned)
    assert found.labels == source.labels
    for name in ("train", "validation", "test"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(target, name))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": ("array", "matrix")}, "target: its labels are array, matrix, and the source's are array, other"),
        ({"train": examples(0)}, "target: there.csv has no training examples"),
        ({"test": examples(0)}, "target: there.csv has no test examples"),
        ({"train": examples(20).query("label == 0")}, "target: all training examples of there.csv are array"),
        ({"test": examples(20).query("label == 1")}, "target: all test examples of there.csv are other"),
    ],
    ids=["other labels", "empty", "nothing to judge by", "one class", "one class to judge by"],
)
def test_domains_that_are_no_pair_are_refused_in_one_sentence(pair, change, said):
    source, target = pair
    with pytest.raises(InputError, match=f"^{said}"):
        with_labels_of(source, dataclasses.replace(target, **change))


def test_a_draw_keeps_its_parts_apart(pair):
    found = drawn(pair)
    source, target = pair
    assert len(found.labelled) == 40
    assert found.labelled.index.isin(source.train.index).all()
    assert "label" not in found.unlabelled
    assert len(found.ceiling) == len(found.labelled), "the comparison knows as many labels, of the target"
    asked = set(example_ids(found.judged))
    for part in (found.few, found.ceiling, found.unlabelled):
        assert part.index.isin(target.train.index).all()
    assert asked <= set(example_ids(target.test))
    assert set(found.task_text["sentence"]) == {*found.labelled["text"], *found.unlabelled["text"]}
    assert not set(found.held_text["sentence"]) & set(target.train["text"]) - set(target.validation["text"])


def test_a_seed_moves_what_is_learnt_and_not_what_judges(pair):
    one, again, other = drawn(pair), drawn(pair), drawn(pair, seed=1)
    for part in ("labelled", "unlabelled", "few", "ceiling"):
        assert getattr(one, part).index.equals(getattr(again, part).index)
        assert not getattr(one, part).index.equals(getattr(other, part).index)
    for part in ("judged", "validation"):
        assert getattr(one, part).index.equals(getattr(other, part).index)


def test_what_stands_in_the_source_is_found_in_any_of_its_splits(pair):
    source, target = pair
    copied = target.test["text"].to_numpy().copy()
    copied[0], copied[3] = source.test["text"].iloc[0], source.validation["text"].iloc[0].upper() + " !"
    judged = target.test.assign(text=copied)
    found = leaked(source, judged)
    assert found.index.equals(judged.index)
    np.testing.assert_array_equal(np.flatnonzero(found), [0, 3])


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not here")
def test_most_validation_sentences_of_sst2_are_film_reviews_of_another_data_set():
    films, phrases, products = (
        load_domain(str(DATA / name)) for name in ("movie_reviews/all.tsv", "sst2", "customer_reviews/all.tsv")
    )

    def letters(texts):
        return texts.str.lower().str.replace(r"[^a-z0-9]", "", regex=True)

    everything = pd.concat([films.train, films.validation, films.test])
    assert int(letters(phrases.test["text"]).isin(set(letters(everything["text"]))).sum()) == 691
    assert int(leaked(films, phrases.test).sum()) == 729
    assert int(leaked(films, products.test).sum()) == 0
