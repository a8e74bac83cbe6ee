"""`begin`, `record` and `claim` as a notebook's cells call them."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.manager import run_kernel

from largemodels.statistics.intervals import mean_interval, proportion_interval
from workbench import chapter as chapter_module
from workbench.chapter import Chapter, ParameterError, begin
from workbench.parameters.types import Count, Dataset, Seed


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, as `(data, metadata)`."""
    outputs = []
    monkeypatch.setattr(chapter_module, "_display", lambda data, metadata: outputs.append((data, metadata)))
    return outputs


def namespace(**values):
    return {
        "__annotations__": {"size": Count, "flag": bool, "seed": Seed},
        "size": 3,
        "flag": True,
        "seed": 0,
        **values,
    }


def test_begin_writes_the_coerced_values_back():
    names = namespace(flag="false", size="7")
    begin(names)
    assert names["flag"] is False
    assert names["size"] == 7


def test_begin_refuses_every_bad_value_in_one_error_without_a_traceback():
    with pytest.raises(ParameterError) as caught:
        begin(namespace(size=0, flag="perhaps"))
    assert str(caught.value) == "size: 0 is not at least 1; flag: perhaps is not true or false"
    assert caught.value._render_traceback_() == [f"Parameter error: {caught.value}"]


@pytest.mark.parametrize(
    ("headline", "said"), [("accuracy", "is one text"), (["Accuracy"], "'Accuracy' is not lower-")]
)
def test_begin_refuses_a_headline_that_names_no_metrics(headline, said):
    with pytest.raises(ValueError, match=said):
        begin(namespace(), headline=headline)


def test_begin_refuses_a_name_that_no_file_can_have_like_any_other_bad_value():
    with pytest.raises(ParameterError, match=r"^data: a{60}… (cannot be looked up|is neither).*; size: 0 is not"):
        begin({"__annotations__": {"data": Dataset, "size": Count}, "data": "a" * 5000, "size": 0})


def test_begin_checks_a_named_choice_of_the_library_as_its_cell_imports_it():
    names = {"__annotations__": {}}
    cell = "from largemodels.data.corpora import Library\n\nlibrary: Library = 'numpy'  # of the corpus"
    exec(compile(cell, "cell", "exec", dont_inherit=True), names)
    begin(names)
    names["library"] = "prayer"
    with pytest.raises(ParameterError, match="library: prayer is not one of numpy, scipy"):
        begin(names)


def test_begin_may_run_twice_and_leaves_later_annotations_alone():
    names = namespace()
    begin(names)
    names["__annotations__"]["result"] = Count
    names["result"] = "not a count"
    assert begin(names).parameters == {"size": 3, "flag": True, "seed": 0}


def test_a_refused_begin_does_not_count_as_the_first():
    names = namespace(size=0)
    with pytest.raises(ParameterError):
        begin(names)
    names["size"] = 2
    assert begin(names).parameters["size"] == 2


def test_begin_resolves_annotations_that_are_text():
    names = {"__annotations__": {"size": "Count"}, "Count": Count, "size": "4"}
    begin(names)
    assert names["size"] == 4


def test_begin_seeds_every_generator():
    def draws(seed):
        begin(namespace(seed=seed))
        return random.random(), np.random.rand(), torch.rand(()).item()

    assert draws(1) == draws(1)
    assert all(a != b for a, b in zip(draws(1), draws(2), strict=True))


def test_a_record_is_glued_and_kept_with_its_interval(shown):
    Chapter({}).record("accuracy", np.float64(0.924), count=806, n=872, low=0.905, high=0.940)
    (data, metadata), (text, _) = shown
    assert data == {"application/papermill.record/text/plain": "0.924"}
    assert metadata["scrapbook"] == {"name": "accuracy", "mime_prefix": "application/papermill.record/"}
    assert metadata["workbench"]["record"] == {
        "name": "accuracy", "value": 0.924, "count": 806, "n": 872, "low": 0.905, "high": 0.94,
    }  # fmt: skip
    assert list(text.values()) == ["'0.924 (806/872; 95% interval 0.905 to 0.94)'"]


def test_a_record_that_json_cannot_hold_is_kept_as_missing(shown):
    Chapter({}).record("loss", math.nan)
    assert shown[0][1]["workbench"]["record"]["value"] is None


def test_a_source_is_shown_as_a_table_and_kept_with_its_rows(shown):
    Chapter({}).record_source("dataset", {"source": "a.csv", "rows": 7, "label": "<b> (by its name)"})
    ((data, metadata),) = shown
    assert data["text/plain"] == "dataset\n  source  a.csv\n  rows    7\n  label   <b> (by its name)"
    assert "<th>label</th><td>&lt;b&gt; (by its name)</td>" in data["text/html"]
    rows = [["source", "a.csv"], ["rows", "7"], ["label", "<b> (by its name)"]]
    assert metadata == {"workbench": {"source": {"name": "dataset", "rows": rows}}}


def test_zero_has_no_sign(shown):
    Chapter({}).record("gain", -0.0, low=-0.0, high=np.float64(-0.0), n=3)
    assert [data["application/papermill.record/text/plain"] for data, _ in shown] == [
        "0.0",
        "'0 (n = 3; 95% interval 0 to 0)'",
    ]
    assert "-0" not in str(shown)


def test_a_share_is_recorded_with_its_wilson_interval_and_handed_back(shown):
    share, low, high = Chapter({}).record_share("accuracy", np.int64(806), torch.tensor(872))
    assert (share, low, high) == proportion_interval(806, 872)
    record = shown[0][1]["workbench"]["record"]
    assert record == {"name": "accuracy", "value": 806 / 872, "count": 806, "n": 872, "low": low, "high": high}
    assert (type(record["count"]), type(record["n"])) == (int, int)
    assert list(shown[1][0].values()) == ["'0.924 (806/872; 95% interval 0.905 to 0.94)'"]


def test_a_share_of_nothing_is_refused(shown):
    with pytest.raises(ValueError, match="0 of 0 is not a proportion"):
        Chapter({}).record_share("accuracy", 0, 0)
    assert shown == []


@pytest.mark.parametrize("count", range(31))
def test_a_share_lies_within_its_own_interval_and_that_within_0_and_1(shown, count):
    share, low, high = Chapter({}).record_share("accuracy", count, 30)
    assert 0 <= low <= share <= high <= 1


def test_an_interval_is_recorded_as_its_value_and_ends_and_handed_back(shown):
    interval = mean_interval([1, 2, 3])
    assert Chapter({}).record_interval("rise", interval, n=3) == interval
    Chapter({}).record("rise", interval[0], n=3, low=interval[1], high=interval[2])
    assert shown[:2] == shown[2:]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "Two Words", "value": 1}, "not lower-case"),
        ({"name": "x", "value": 1, "low": 0}, "an interval has two ends"),
        ({"name": "x", "value": 1, "low": 2, "high": 3}, "outside its own interval"),
        ({"name": "x", "value": 10**400}, "a whole number of 1329 bits cannot be recorded"),
        ({"name": "x", "value": 1, "n": 2**63}, "a whole number of 64 bits cannot be recorded"),
    ],
)
def test_a_record_that_cannot_be_right_is_refused(shown, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Chapter({}).record(**arguments)
    assert shown == []


@pytest.mark.parametrize(
    ("bound", "value", "line"),
    [
        ({"above": 0.02}, 0.03, "✓ Gain above 0.02"),
        ({"above": 0.02}, 0.02, "✗ Gain above 0.02"),
        ({"below": 1e-6}, 1e-7, "✓ Gain below 1e-06"),
        ({"between": (1, 2)}, 2, "✓ Gain between 1 and 2"),
        ({"between": (1, 2)}, 2.1, "✗ Gain between 1 and 2"),
        ({"about": 1, "within": 0.1}, 0.95, "✓ Gain about 1, within 0.1"),
        ({"about": 1, "within": 0.1}, 0.85, "✗ Gain about 1, within 0.1"),
        ({"above": 0}, math.nan, "✗ Gain above 0"),
        ({"below": 0}, math.nan, "✗ Gain below 0"),
        ({"above": 0}, torch.tensor(3.0), "✓ Gain above 0"),
    ],
)
def test_a_claim_shows_its_bound_and_whether_it_holds(shown, bound, value, line):
    Chapter({}).claim("Gain", value, **bound)
    data, metadata = shown[0]
    assert data["text/plain"] == line
    assert metadata["workbench"]["claim"]["holds"] is line.startswith("✓")


def test_a_check_is_shown_as_a_claim_is_and_recorded_as_what_had_to_come_out_so(shown):
    Chapter({}).check("Sum of the weights", 1.0, about=1, within=1e-6)
    Chapter({}).claim("Gain", 1.0, above=0)
    assert shown[0][0]["text/plain"] == "✓ Sum of the weights about 1, within 1e-06"
    assert [metadata["workbench"]["claim"]["kind"] for _, metadata in shown] == ["check", "finding"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_shown_line_never_depends_on_the_measured_value(value):
    lines = []
    original, chapter_module._display = chapter_module._display, lambda data, _: lines.append(data["text/plain"])
    try:
        Chapter({}).claim("Gain", value, above=-math.inf)
    finally:
        chapter_module._display = original
    assert lines == ["✓ Gain above -inf"]


@pytest.mark.parametrize(
    "bounds", [{}, {"above": 1, "below": 2}, {"about": 1}, {"within": 1}, {"above": 1, "within": 1}]
)
def test_a_claim_has_exactly_one_bound(bounds):
    with pytest.raises(ValueError, match="exactly one"):
        Chapter({}).claim("Gain", 1, **bounds)


def test_a_statement_belongs_to_one_claim(shown):
    chapter = Chapter({})
    chapter.claim("Gain", 1, above=2)
    with pytest.raises(ValueError, match="claim 'Gain': another claim has this statement"):
        chapter.claim("Gain", 1, above=0)
    chapter.claim("Gain of the second", 1, above=0)
    assert [data["text/plain"][0] for data, _ in shown] == ["✗", "✓"]


def test_a_refused_claim_does_not_take_its_statement(shown):
    chapter = Chapter({})
    with pytest.raises(ValueError, match="exactly one"):
        chapter.claim("Gain", 1)
    chapter.claim("Gain", 1, above=0)


@pytest.fixture(scope="module")
def answer():
    """Execute code in a kernel as a front end does, which may name the cell; the name of the error, or None."""
    with run_kernel() as client:

        def execute(code, cell=None):
            message = client.session.msg("execute_request", {"code": code, "silent": False, "store_history": True})
            message["metadata"] = {} if cell is None else {"cellId": cell}
            client.shell_channel.send(message)
            while True:
                reply = client.get_shell_msg(timeout=60)
                if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                    return reply["content"].get("ename")

        yield execute


BEGIN = "from workbench.chapter import begin\nchapter = begin()"
CLAIM = "chapter.claim('Gain', 1, above=0)"


def test_in_jupyterlab_a_cell_of_claims_runs_again_and_another_cell_may_not_repeat_them(answer):
    assert answer(BEGIN, "begin") is None
    assert answer(CLAIM, "one") is None
    assert answer(CLAIM, "one") is None
    assert answer(CLAIM, "two") == "ValueError"
    assert answer(f"{CLAIM}\n{CLAIM}", "one") == "ValueError"
    assert answer("chapter.claim('Loss', 1, above=0)", "one") is None, "the cell was edited"
    assert answer(CLAIM, "two") is None, "no other cell claims that any longer"


def test_where_cells_are_not_named_a_statement_is_refused_until_the_chapter_begins_again(answer):
    assert answer(BEGIN) is None
    assert answer(CLAIM) is None
    assert answer(CLAIM) == "ValueError"
    assert answer(BEGIN) is None
    assert answer(CLAIM) is None


def test_a_statement_is_escaped_in_html(shown):
    Chapter({}).claim("a < b & <script>", 1, above=0)
    assert "<script>" not in shown[0][0]["text/html"]
