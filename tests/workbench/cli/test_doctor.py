"""What is missing is named, with what to do; what not everybody needs fails nothing."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from types import SimpleNamespace

import pytest

from workbench.cli import doctor
from workbench.cli.doctor import Check, examine


def found(project) -> dict[str, Check]:
    return {check.name: check for check in examine(project)}


@pytest.fixture
def pip(monkeypatch):
    """Answer in the place of `pip check`, which takes seconds: with nothing, or with what a test says."""

    def says(code: int = 0, out: str = "", err: str = "") -> None:
        answer = subprocess.CompletedProcess([], code, out, err)
        monkeypatch.setattr(doctor.subprocess, "run", lambda *command, **options: answer)

    says()
    return says


def test_on_a_machine_that_can_run_the_tests_nothing_needed_is_missing(project):
    checks = found(project)
    assert [check for check in checks.values() if check.fails] == []
    assert [*checks] == [
        *("Python", "packages", "versions", "runs folder", "cache folder", "git", "make", "Chromium"),
    ]
    assert all(check.fine or check.remedy for check in checks.values())


def test_a_python_that_is_too_new_is_named(project, pip, monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", (3, 14, 0))
    check = found(project)["Python"]
    assert check.fails
    assert "3.11, 3.12 or 3.13" in check.remedy


def test_a_package_of_another_version_than_the_lock_s_is_pointed_out(project, pip):
    scipy, numpy = map(importlib.metadata.version, ("scipy", "numpy"))
    (project.root / "requirements.lock").write_text(
        "# a comment\nnumpy==0.1\nrich==99 ; sys_platform == 'nowhere'\nnot-there==1.0\n--hash=x\n"
        + f"scipy=={scipy}\n"
    )
    check = found(project)["versions"]
    assert (check.fine, check.fails) == (False, False)
    assert check.found == f"numpy {numpy}, not 0.1, not-there missing, not 1.0"
    assert "install -r requirements.lock" in check.remedy


def test_a_build_of_the_pinned_version_is_the_pinned_version(project, pip, monkeypatch):
    monkeypatch.setattr(doctor, "_installed", lambda name: "2.13.0+cpu")
    (project.root / "requirements.lock").write_text("torch==2.13.0\n")
    assert found(project)["versions"].fine
    (project.root / "requirements.lock").write_text("torch==2.13.1\n")
    assert not found(project)["versions"].fine


@pytest.mark.parametrize(
    ("said", "fails"),
    [
        ("large-model-workbench 0.1.0 has requirement torch<2.14, but you have torch 3.0.", True),
        ("papermill 2.6 requires nbclient, which is not installed.", True),
        ("other 1.0 has requirement rich<1, but you have rich 13.0.", False),
    ],
)
def test_what_pip_check_says_fails_where_the_workbench_needs_it(project, pip, said, fails):
    pip(1, f"{said}\n")
    check = found(project)["packages"]
    assert (check.fine, check.fails, check.found) == (False, fails, said)
    assert "install -r requirements.lock" in check.remedy


def test_without_pip_the_packages_are_not_checked_and_nothing_fails(project, pip):
    pip(1, "", f"{sys.executable}: No module named pip\n")
    check = found(project)["packages"]
    assert (check.fine, check.fails) == (False, False)
    assert check.remedy.endswith("-m ensurepip")


def test_a_runs_folder_that_cannot_be_written_fails(project, pip, monkeypatch):
    (project.root / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_RUNS", str(project.root / "file"))
    assert found(project)["runs folder"].fails


def test_a_full_disk_fails(project, pip, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**20))
    assert found(project)["runs folder"].fails
    assert "make room" in found(project)["runs folder"].remedy


@pytest.mark.parametrize("name", ["git", "make", "Chromium"])
def test_programs_that_not_everybody_needs_fail_nothing(project, pip, monkeypatch, name):
    monkeypatch.setattr(doctor.shutil, "which", lambda program: None)
    check = found(project)[name]
    assert (check.fine, check.fails) == (False, False)
    assert check.remedy
