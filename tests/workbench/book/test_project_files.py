"""The readme, the citation, the environment, the licences and the workflow agree with the project and each other."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
import typer.main
import yaml

from staged_book import ROOT
from workbench.book.publish import DEFAULT_EDITION, read_edition, staged_chapters
from workbench.cli.commands import app
from workbench.core.project import Project

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_file_that_the_readme_links_to_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("package", ["largemodels", "workbench"])
def test_the_guide_for_contributors_has_a_place_for_every_module_and_no_other(package):
    guide = (ROOT / "book" / "contributing.md").read_text(encoding="utf-8")
    tree = guide.partition(f"### `lib/{package}/`")[2].partition("\n### ")[0]
    places = dict(re.findall(r"^\| `(\w+)/` \| (.*) \|$", tree, re.MULTILINE))
    wings = {path.parent.name: path.parent for path in (ROOT / "lib" / package).glob("*/__init__.py")}
    assert wings.keys() == places.keys() - {"weights"}
    for name, wing in wings.items():
        modules = {path.stem for path in wing.rglob("*.py")} - {"__init__"}
        in_brackets = " ".join(re.findall(r"\(.*?\)", places[name]))
        named, explained = (set(re.findall(r"`(\w+)`", text)) for text in (places[name], in_brackets))
        assert modules <= named, f"{name}: the guide has no place for {modules - named}"
        assert named - explained <= modules, f"{name}: {named - explained - modules} is no module"


def test_the_readme_begins_with_the_two_commands():
    first_code = (ROOT / "README.md").read_text(encoding="utf-8").split("```")[1]
    assert [line.split("#")[0].strip() for line in first_code.strip().splitlines()[1:]] == [
        "make book",
        "make test",
    ]


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["title"] == "The Large Model Workbench"


def test_conda_and_binder_get_the_pins_of_the_lock():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    pip = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    assert pip == ["-r requirements.lock", "-e ."]
    python = next(entry for entry in dependencies if isinstance(entry, str) and entry.startswith("python="))
    assert python.removeprefix("python=") in ("3.11", "3.12", "3.13")


def test_the_dev_container_makes_the_environment_of_make():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    image, _, python = container["image"].rpartition(":")
    assert image.endswith("/devcontainers/python")
    assert python in ("3.11", "3.12", "3.13")
    make, target = container["postCreateCommand"].split()
    assert (make, (ROOT / "Makefile").read_text(encoding="utf-8").count(f"\n{target}:")) == ("make", 1)
    interpreter = container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert interpreter == "${containerWorkspaceFolder}/.venv/bin/python"


def test_both_licences_are_there():
    assert PROJECT["license-files"] == ["LICENSE", "LICENSE-TEXT"]
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert "creativecommons.org/licenses/by/4.0" in (ROOT / "LICENSE-TEXT").read_text(encoding="utf-8")


def test_the_workflow_tests_every_supported_python_and_can_write_only_where_it_publishes():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    assert (matrix["system"], matrix["python"]) == (["ubuntu-latest"], ["3.11", "3.12", "3.13"])
    assert [job["system"] for job in matrix["include"]] == ["macos-latest"]
    assert workflow["permissions"] == {"contents": "read"}
    assert [name for name, job in workflow["jobs"].items() if "permissions" in job] == ["publish"]
    assert workflow["jobs"]["publish"]["needs"] == ["test", "pages"]


def test_each_command_stands_once_on_the_page_of_commands():
    page = (ROOT / "book" / "manual" / "commands.md").read_text(encoding="utf-8")
    directives = re.findall(
        r"^```{commands} workbench.cli.commands:app\n:program: workbench\n\n(.*?)```$", page, re.M | re.S
    )
    shown = [line for lines in directives for line in lines.splitlines()]
    commands = typer.main.get_command(app).commands
    assert sorted(shown) == sorted(["workbench", *(f"workbench {name}" for name in commands)])


PASTED = {
    str(page.relative_to(ROOT)): re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    for page in (*ROOT.glob("*.md"), *(ROOT / "book").rglob("*.md"))
}


@pytest.mark.parametrize("page", [page for page, blocks in PASTED.items() if blocks])
def test_commands_can_be_pasted_into_zsh(page):
    """It takes `#` for a word where it is typed, and refuses brackets and stars that fit no file."""
    for block in PASTED[page]:
        plain = re.sub(r"'[^']*'|\"[^\"]*\"|<<END\n.*?^END$", "", block, flags=re.M | re.S)
        assert not re.findall(r"(?:^|\s)#.*|[][*?()]", plain)


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "book" / "editions").glob("*.yml")))
def test_an_edition_gives_chapters_of_the_book_what_they_take(name):
    project = Project(ROOT)
    edition = read_edition(project, name)
    chosen = staged_chapters(project, edition)
    assert {contract.chapter for contract, _ in chosen} >= edition.chapters.keys()
    for contract, given in chosen:
        assert contract.resolve(given).keys() >= given.keys()


def test_the_default_edition_keeps_every_default():
    assert not any(read_edition(Project(ROOT), DEFAULT_EDITION).chapters.values())
