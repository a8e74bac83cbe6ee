"""What is missing is named, with what to do; what not everybody needs fails nothing."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from largemodels.data import corpora
from workbench.cli import checks as doctor
from workbench.cli.checks import Check, examine
from workbench.parameters import content


def found(project) -> dict[str, Check]:
    return {check.name: check for check in examine(project)}


def test_on_a_machine_that_can_run_the_tests_nothing_needed_is_missing(project):
    checks = found(project)
    assert [check for check in checks.values() if check.fails] == []
    assert {"Python", "packages", "versions", "kernel", "runs folder", "cache folder", "corpus", "disk space"} < {
        *checks
    }
    assert {"GPU", "git", "make", "Chromium"} < {*checks}
    assert all(check.fine or check.remedy for check in checks.values())


def test_a_python_that_is_too_new_is_named(project, monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", (3, 14, 0))
    check = found(project)["Python"]
    assert check.fails
    assert "3.11, 3.12 or 3.13" in check.remedy


def test_a_missing_package_fails_and_one_of_another_version_is_pointed_out(project, monkeypatch):
    (project.root / "requirements.lock").write_text(
        "# a comment\nnumpy==0.1\nrich==99 ; sys_platform == 'nowhere'\nnot-there==1.0\n"
        f"scipy=={importlib.metadata.version('scipy')}\n"
    )
    checks = found(project)
    assert checks["packages"].fine
    assert not checks["versions"].fine
    assert not checks["versions"].fails
    assert (
        checks["versions"].found == f"numpy {importlib.metadata.version('numpy')}, not 0.1, not-there missing, not 1.0"
    )
    assert "install -r requirements.lock" in checks["versions"].remedy
    really = doctor._installed
    monkeypatch.setattr(doctor, "_installed", lambda name: None if name == "papermill" else really(name))
    check = found(project)["packages"]
    assert check.fails
    assert "papermill (missing)" in check.found


def test_a_package_outside_of_the_supported_versions_fails(project, monkeypatch):
    really = doctor._installed
    monkeypatch.setattr(doctor, "_installed", lambda name: "1.0" if name == "torch" else really(name))
    check = found(project)["packages"]
    assert check.fails
    assert "torch (1.0, needed is" in check.found


def test_a_build_of_the_pinned_version_is_the_pinned_version(monkeypatch):
    monkeypatch.setattr(doctor, "_installed", lambda name: "2.13.0+cpu")
    assert not doctor._other("torch", "2.13.0")
    assert doctor._other("torch", "2.13.1")


def test_a_kernel_of_another_environment_fails(project, monkeypatch, tmp_path):
    kernel = tmp_path / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": ["/usr/bin/other"], "display_name": "x", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    check = found(project)["kernel"]
    assert check.fails
    assert "/usr/bin/other" in check.found
    assert check.remedy.startswith(f"{sys.executable} -m ipykernel install")


def test_a_runs_folder_that_cannot_be_written_fails(project, monkeypatch):
    (project.root / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_RUNS", str(project.root / "file"))
    assert found(project)["runs folder"].fails


def test_a_full_disk_fails(project, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**20))
    assert found(project)["disk space"].fails


@pytest.mark.parametrize("name", ["git", "make", "Chromium"])
def test_programs_that_not_everybody_needs_fail_nothing(project, monkeypatch, name):
    monkeypatch.setattr(doctor.shutil, "which", lambda program: None)
    check = found(project)[name]
    assert (check.fine, check.fails) == (False, False)
    assert check.remedy


def test_the_corpus_is_said_to_be_cached_once_it_is_and_until_the_code_that_makes_it_changes(
    project, monkeypatch, tmp_path
):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    assert not found(project)["corpus"].fine
    monkeypatch.setattr(corpora, "_table", lambda rows, progress: pd.DataFrame({"sentence": ["one"]}))
    monkeypatch.setattr(corpora, "_docstring_rows", lambda libraries, progress: [])
    corpora.sentences("pydocs")
    assert content.is_cached("pydocs")
    assert found(project)["corpus"].fine
    monkeypatch.setattr(corpora, "_code_digest", lambda: "another")
    assert not content.is_cached("pydocs")
