"""What is written after `-g` and in files of points, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toy_project import write_chapter
from workbench.core.errors import RequestError
from workbench.parameters.contract import Contract, load_contract, read_contract
from workbench.sweeps.grid import points_of


def ask(project, *grids, options=(), files=(), **how):
    return points_of(load_contract(project, "toy"), list(grids), list(options), list(files), **how)


def values(points, *names):
    return [tuple(point.values[name] for name in names) for point in points.points]


def refusal(project, *grids, **how):
    with pytest.raises(RequestError) as refused:
        ask(project, *grids, **how)
    return refused.value.sentences


def test_a_grid_of_too_many_points_is_refused_before_its_values_are_looked_at(project, monkeypatch):
    monkeypatch.setattr(Contract, "resolve", lambda contract, request: {} if not request else pytest.fail("looked at"))
    for grids in (["seed=0:100000", "size=1:100001"], ["seed=0:1" + 30 * "0"], ["seed=0:1e" + 30 * "9"]):
        (sentence,) = refusal(project, *grids)
        assert "100,000" in sentence


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ("size=1_0,2", "size: 1_0 is not a whole number"),
        (f"size={'9' * 400}", f"size: {'9' * 60}… is too large"),
        ("rate=1e400,1", "rate: 1e400 is not a finite number"),
        ("name=\udcff,a", "name: '\\udcff' is not UTF-8 text"),
    ],
)
def test_a_value_that_cannot_be_written_is_refused_in_grids_and_files_of_points_too(project, tmp_path, grid, sentence):
    assert refusal(project, grid) == (sentence,)
    name, _, texts = grid.partition("=")
    if "\udcff" not in texts:
        (tmp_path / "points.yml").write_text(f"- {name}: {texts.split(',')[0]}\n- {name}: 1\n")
        assert refusal(project, files=[tmp_path / "points.yml"]) == (sentence,)


def test_grids_multiply_and_the_last_varies_fastest(project):
    points = ask(project, "rate=1e-4,5e-4", "seed=0:2")
    assert values(points, "rate", "seed") == [(1e-4, 0), (1e-4, 1), (5e-4, 0), (5e-4, 1)]
    assert points.varied == ("rate", "seed")


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ("size=1:4", [1, 2, 3]),
        ("size=1:10:4", [1, 5, 9]),
        ("size=5:1:-2", [5, 3]),
        ("size=1:3,7", [1, 2, 7]),
        ("rate=0.1:0.4:0.1", [0.1, 0.2, 0.3]),
        ("rate=1e-3, 2e-3", [1e-3, 2e-3]),
        ("depths=[1,2],[3]", [[1, 2], [3]]),
        ("name=007,1:3,a..b", ["007", "1:3", "a..b"]),
        ("name='a,b',c", ["a,b", "c"]),
        ("flag=yes,no", [True, False]),
        ("mode=fast,slow", ["fast", "slow"]),
    ],
)
def test_values_are_read_as_their_declared_type(project, grid, expected):
    name = grid.partition("=")[0]
    assert values(ask(project, grid), name) == [(value,) for value in expected]


def test_the_same_for_all_points_is_given_with_p_and_the_rest_is_default(project):
    points = ask(project, "seed=0:2", options=["size=9"])
    assert [point.given for point in points.points] == [{"size": 9, "seed": 0}, {"size": 9, "seed": 1}]
    assert points.points[0].values["mode"] == "fast"
    assert points.varied == ("seed",)


def test_a_file_of_points_multiplies_with_grids(project, tmp_path):
    file = tmp_path / "points.yml"
    file.write_text("- {size: 1, rate: 1e-3}\n- {size: 2}\n")
    points = ask(project, "seed=0,1", files=[file])
    assert values(points, "size", "seed") == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_one_mapping_in_a_file_is_the_same_for_all_points(project, tmp_path):
    file = tmp_path / "fixed.yml"
    file.write_text("size: 4\nname: 010\n")
    assert values(ask(project, "seed=0,1", files=[file]), "size", "name") == [(4, "010")] * 2


def test_duplicates_are_dropped_and_counted(project):
    points = ask(project, "rate=1e-3,0.001,2e-3", "seed=0,0")
    assert values(points, "rate", "seed") == [(1e-3, 0), (2e-3, 0)]
    assert points.dropped == 4


def test_a_sample_is_drawn_without_replacement_and_repeats_with_its_seed(project):
    drawn = ask(project, "size=1:1000", "seed=0:1000", sample=50, seed=3)
    assert len(drawn.points) == 50
    assert drawn == ask(project, "size=1:1000", "seed=0:1000", sample=50, seed=3)
    assert drawn != ask(project, "size=1:1000", "seed=0:1000", sample=50, seed=4)
    assert sorted(values(ask(project, "size=1:9", sample=8), "size")) == [(size,) for size in range(1, 9)]


def test_a_continuous_range_is_drawn_evenly_in_the_logarithm_where_it_is_wide(project):
    rates = [rate for (rate,) in values(ask(project, "rate=1e-5..1e-1", sample=200), "rate")]
    assert all(1e-5 <= rate <= 1e-1 for rate in rates)
    assert 60 < sum(rate < 1e-3 for rate in rates) < 140
    sizes = [size for (size,) in values(ask(project, "size=1..5", sample=60), "size")]
    assert set(sizes) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("grids", "sentence"),
    [
        (["size"], "-g size: a grid is given as name=value,value"),
        (["size=1", "size=2"], "-g size is given twice"),
        (["sise=1,2"], "toy has no parameter sise; did you mean size?"),
        (["size=1,,2"], "size: the value is empty"),
        (["size=0:3"], "size: 0 is not at least 1"),
        (["size=3:3"], "size: 3:3 is empty"),
        (["size=1:9:0"], "size: 1:9:0 steps by 0"),
        (["size=1:9999999"], "size: 1:9999999 has too many values; 100,000 points are the most in one sweep"),
        (["rate=1e-5..1e-3"], "rate: 1e-5..1e-3 is everything between two numbers, which only --random can draw from"),
        (["mode=fast,medium"], "mode: medium is not one of fast, slow"),
        (["rate=0.5:1"], None),
        (["size=1:1000", "seed=0:1000"], "these are 999,000 points, and 100,000 are the most in one sweep; "),
    ],
)
def test_a_grid_that_cannot_be_right_is_one_sentence(project, grids, sentence):
    if sentence is None:
        assert len(ask(project, *grids).points) == 1
        return
    (said,) = refusal(project, *grids)
    assert said.startswith(sentence)


def test_every_mistake_is_said_once(project, tmp_path):
    file = tmp_path / "points.yml"
    file.write_text("- {rate: -1}\n- {rate: -1}\n- {shar: 2}\n")
    said = refusal(project, "size=0,x", "seed=0:5", options=["mode=m"], files=[file])
    assert sorted(said) == [
        "mode: m is not one of fast, slow",
        "rate: -1 is not above 0",
        "size: 0 is not at least 1",
        "size: x is not a whole number",
        "toy has no parameter shar; did you mean share?",
    ]


def test_the_ends_of_a_continuous_range_are_checked(project):
    assert refusal(project, "share=0.5..2", sample=3) == ("share: 2 is not below 1",)
    assert refusal(project, "rate=2..1", sample=3) == ("rate: 2..1 is not a range from a number to a larger one",)
    assert len(refusal(project, "size=1..1e999", sample=3)) == 1
    assert len(refusal(project, "size=1:1e999999999")) == 1


def test_more_random_points_than_there_are_is_refused(project):
    assert refusal(project, "size=1:4", sample=9) == ("--random 9: the grid has only 3 points",)


def test_a_name_is_given_in_one_place(project, tmp_path):
    said = refusal(project, "size=1,2", options=["size=3"])
    assert said == ("size is given both for all points and point by point",)


@pytest.mark.parametrize("content", ["[]", "- 1\n- 2", "words", "- {}"])
def test_a_file_of_something_else_is_refused(project, tmp_path, content):
    file = tmp_path / "points.yml"
    file.write_text(content)
    (said,) = refusal(project, files=[file])
    assert said == f"{file}: expected a list of points, each of them lines of `name: value`"


@pytest.fixture(scope="module")
def contract(tmp_path_factory):
    return read_contract(write_chapter(tmp_path_factory.mktemp("toy")))


@given(st.lists(st.integers(1, 999), min_size=1, max_size=6), st.integers(0, 50), st.integers(1, 50))
def test_a_grid_has_the_product_of_its_different_values(contract, sizes, start, count):
    points = points_of(contract, [f"size={','.join(map(str, sizes))}", f"seed={start}:{start + count}"], [], [])
    assert len(points.points) == len(set(sizes)) * count
    assert len(points.points) + points.dropped == len(sizes) * count


@given(st.text(max_size=30))
def test_whatever_is_written_is_points_or_a_sentence(contract, text):
    for name in ("size", "rate", "name", "depths", "mode"):
        with contextlib.suppress(RequestError):
            assert points_of(contract, [f"{name}={text}"], [], []).points
