"""The ledger: in how many recorded seeds a claim holds, and the claims that the book withdrew."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from workbench.book import ledger
from workbench.core.errors import RequestError
from workbench.runs.executed import Executed

CLAIM = {"statement": "Gain", "bound": "above 0", "value": 0.5, "holds": True, "n": 40}
ENTRY = "- {chapter: toy, claim: Gain above 1, measured: '0.5', reason: It fell., now: Gain above 0}\n"


def record(points, varied=("seed",), **given):
    return SimpleNamespace(
        chapter="toy",
        name=f"of-{points}",
        points=points,
        varied=list(varied),
        given={"seed": 0, **given},
        record={"claims": []},
    )


def test_findings_and_checks_keep_their_number_among_all_claims():
    executed = Executed(claims=[CLAIM, {**CLAIM, "kind": "check"}, {**CLAIM, "kind": "finding"}])
    assert [place for place, _ in ledger.of_kind(executed, "finding")] == [1, 3]
    assert [place for place, _ in ledger.of_kind(executed, "check")] == [2]


def test_seeds_are_those_of_the_largest_sweep_of_the_default_parameters(monkeypatch, project):
    sweeps = [record(5), record(10), record(20, steps=3), record(30, ("seed", "size")), record(40, ("size",))]
    monkeypatch.setattr(ledger, "all_recorded", lambda _: sweeps)
    assert {chapter: each.name for chapter, each in ledger.over_seeds(project).items()} == {"toy": "of-10"}


def test_every_recorded_sweep_of_seeds_of_the_book_is_found(root):
    from workbench.core.project import Project

    seeds = ledger.over_seeds(Project(root))
    assert {"pretraining", "fine-tuning"} <= seeds.keys()
    claims = json.loads((seeds["pretraining"].folder / "sweep.json").read_text())["claims"]
    assert {claim["runs"] for claim in claims} == {seeds["pretraining"].points}


@pytest.mark.parametrize(
    ("values", "said"), [({}, "9 of 10"), ({"values": 4}, "9 of 10"), ({"values": 1}, "same value")]
)
def test_seeds_say_nothing_of_a_claim_whose_value_is_the_same_in_all(values, said):
    assert ledger.in_seeds({"held": 9, "runs": 10, **values}) == said


@pytest.mark.parametrize("recorded", [None, record(10)])
def test_a_chapters_row_names_the_sweep_of_its_seeds(monkeypatch, recorded):
    monkeypatch.setattr(ledger, "_has_changed", lambda _: True)
    said = ledger._chapter_row("notebooks/toy", Executed(run={"run": "one"}), recorded, 6).astext()
    assert ("seeds: recorded of-10, 10 runs, whose code or data have changed since" in said) == bool(recorded)


def test_withdrawn_claims_are_read(tmp_path):
    path = tmp_path / "withdrawn.yml"
    path.write_text(ENTRY)
    (entry,) = ledger.read_withdrawn(path)
    assert (entry.chapter, entry.measured) == ("toy", "0.5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENTRY.replace("reason", "because"), "0.reason: Field required"),
        ("chapter: toy\n", "Input should be a valid list"),
        ("- [\n", "withdrawn.yml"),
    ],
)
def test_a_malformed_list_of_withdrawn_claims_is_one_sentence(tmp_path, text, said):
    path = tmp_path / "withdrawn.yml"
    path.write_text(text)
    with pytest.raises(RequestError, match=said):
        ledger.read_withdrawn(path)


def test_the_books_withdrawn_claims_are_of_its_chapters_and_no_longer_made(root):
    entries = ledger.read_withdrawn(root / "book" / ledger.WITHDRAWN)
    for entry in entries:
        notebook = json.loads((root / "notebooks" / f"{entry.chapter}.ipynb").read_text())
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
        shown = {"".join(output.get("data", {}).get("text/plain", "")) for output in outputs}
        assert f"✓ {entry.claim}" not in shown
