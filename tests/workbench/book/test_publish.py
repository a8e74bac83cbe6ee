"""The book is built from runs, only when something changed, and only whole."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
import zipfile
from pathlib import Path

import pytest

from swept_project import sweep
from toy_project import edit_cell, write_chapter
from workbench.book import publish as publish_module
from workbench.book.publish import chapters_of_book, contents, publish, read_edition, staged_chapters
from workbench.core.errors import RequestError, RunError
from workbench.core.packages import our_packages
from workbench.parameters.contract import load_contract
from workbench.recorded.recording import record_result
from workbench.sweeps.ended import find_sweep

pytestmark = pytest.mark.usefixtures("warm_server")
CONFIG = """\
title: A small book
only_build_toc_files: true
execute: {execute_notebooks: "off"}
sphinx:
  extra_extensions: [workbench.book.extension]
  config: {mathjax_path: mathjax/tex-chtml.js}
"""


TEXTS = 'from workbench.types import Dataset\n\ntexts: Dataset = "pydocs"  # read'


class Quiet:
    """A log that keeps what it was busy with."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextlib.contextmanager
    def busy(self, what: str):
        self.said.append(what)
        yield


@pytest.fixture
def book(project):
    """A book of one page and one chapter, with an edition that gives the chapter another size."""
    (project.root / "_config.yml").write_text(CONFIG)
    project.editions.mkdir(parents=True)
    (project.root / "book" / "intro.md").write_text("# A small book\n")
    (project.editions / "offline.yml").write_text("chapters:\n  toy: {size: 41}\n")
    write_chapter(project.root, "print('the size is', size + 1)")
    return project


def build(project, run, repository=None, **options):
    edition = read_edition(project, "offline")
    ((contract, given),) = staged_chapters(project, edition)
    done, reused = run(**given)
    log = Quiet()
    page, fresh = publish(project, edition, {contract.chapter: done}, repository, log)
    assert log.said == ["building the pages"] * fresh
    return Path(page), fresh, reused


def test_the_book_shows_its_runs_and_is_built_only_when_something_changed(book, run):
    page, fresh, _ = build(book, run)
    chapter = page.parent / "notebooks" / "toy.html"
    assert fresh
    assert page == book.build / "html" / "index.html"
    assert "the size is 42" in chapter.read_text()
    assert "<h1>Toy" in chapter.read_text()

    assert build(book, run)[1:] == (False, True), "nothing changed, nothing is run or built"

    chapter.write_text("another program wrote here")
    assert build(book, run)[1:] == (True, True), "a page that somebody else has written is built again"
    assert "the size is 42" in chapter.read_text()

    edit_cell(book.notebooks / "toy.ipynb", "title", "# A corrected title")
    _, fresh, reused = build(book, run)
    assert (fresh, reused) == (True, True), "a corrected typo builds and runs nothing"
    assert "<h1>A corrected title" in chapter.read_text()
    assert "the size is 42" in chapter.read_text()

    edit_cell(book.notebooks / "toy.ipynb", "title", "# A title\n\n[a link to nowhere](nowhere.md)")
    with pytest.raises(RunError, match="nowhere"):
        build(book, run)
    assert "<h1>A corrected title" in chapter.read_text(), "a failed build leaves the old book"
    assert not list(book.build.glob(".stage-*"))


def test_an_edit_of_any_of_our_modules_builds_the_book_again(book, tmp_path, monkeypatch):
    def copied(package):
        return tmp_path / "lib" / package

    def build_one_page(source, log):
        (source / "_build" / "html").mkdir(parents=True)
        (source / "_build" / "html" / "index.html").write_text("a page")
        return source / "_build" / "html"

    def is_built():
        return publish(book, read_edition(book, "offline"), {}, None, Quiet())[1]

    for package, folder in our_packages().items():
        shutil.copytree(folder, copied(package), ignore=shutil.ignore_patterns("weights", "*.pyc"))
    monkeypatch.setattr(publish_module, "our_packages", lambda: {name: copied(name) for name in our_packages()})
    monkeypatch.setattr(publish_module, "_build", build_one_page)
    assert is_built()
    assert not is_built()
    module = copied("workbench") / "book" / "recorded_directive.py"
    module.write_text(module.read_text() + "# edited")
    assert is_built()
    assert not is_built()

    known = {publish_module._digest(book.root)}
    modules = [*(tmp_path / "lib").rglob("*.py")]
    assert len(modules) > 100
    for number, module in enumerate(modules, 1):
        module.write_text(module.read_text() + "# edited")
        known.add(publish_module._digest(book.root))
        assert len(known) == number + 1, module


@pytest.fixture
def quickly(monkeypatch):
    """In place of Jupyter Book, something that makes one page of the introduction, and what else a test wants of it."""
    hooks = []

    def build_one_page(source, log):
        for hook in hooks:
            hook()
        pages = source / "_build" / "html"
        pages.mkdir(parents=True)
        (pages / "index.html").write_text((source / "book" / "intro.md").read_text())
        return pages

    monkeypatch.setattr(publish_module, "_build", build_one_page)
    return hooks


def test_what_a_killed_build_has_left_is_removed_by_the_next(book, quickly):
    for left in (".stage-left/book", ".stage-older", "html"):
        (book.build / left).mkdir(parents=True)
    (book.build / ".stage-link").symlink_to(book.root)
    publish(book, read_edition(book, "offline"), {}, None, Quiet())
    assert {path.name for path in book.build.iterdir()} == {".lock", ".stage-link", "html", "html.digest"}
    assert (book.root / "_toc.yml").exists(), "a link is not followed"


def test_of_two_builds_at_once_the_second_waits_and_finds_nothing_to_do(book, quickly):
    edition, logs, built = read_edition(book, "offline"), [Quiet(), Quiet()], []

    def build_second():
        built.append(publish(book, edition, {}, None, logs[1])[1])

    second = threading.Thread(target=build_second)

    def start_second():
        second.start()
        second.join(0.5)
        assert second.is_alive(), "it waits"
        assert len(list(book.build.glob(".stage-*"))) == 1, "it has taken nothing away"

    quickly.append(start_second)
    assert publish(book, edition, {}, None, logs[0])[1]
    second.join()
    assert built == [False]
    assert [log.said for log in logs] == [["building the pages"], ["waiting for another build of the book"]]


def test_a_file_is_made_of_the_pages_whole_and_only_where_they_have_changed(book, monkeypatch):
    def build_pages(source, log):
        pages = source / "_build" / "html"
        for name in ("index", "book/intro", "notebooks/toy", "_static/pygments"):
            (pages / name).parent.mkdir(parents=True, exist_ok=True)
            said = (source / "book" / "intro.md").read_text()
            (pages / f"{name}.html").write_text(f'<head></head><article class="bd-article"><h1>{said}</h1></article>')
        (pages / "_static" / "pygments.css").write_text("")
        return pages

    def publish_epub():
        log = Quiet()
        return *publish(book, read_edition(book, "offline"), {}, None, log, "epub"), log.said

    monkeypatch.setattr(publish_module, "_build", build_pages)
    file, fresh, said = publish_epub()
    assert file == book.build / "epub" / "large-model-workbench.epub"
    assert (fresh, said) == (True, ["building the pages", "binding the pages"])
    with zipfile.ZipFile(file) as archive:
        assert "A small book" in archive.read("book/book/intro.xhtml").decode()
    assert publish_epub() == (file, False, [])
    file.write_bytes(b"another program wrote here")
    assert publish_epub() == (file, True, ["binding the pages"])
    assert zipfile.is_zipfile(file)
    before = file.read_bytes()
    (book.root / "book" / "intro.md").write_text(r"# <span class='math'>\(\wombat\)</span>")
    with pytest.raises(RunError, match="book/intro: the formula"):
        publish_epub()
    assert file.read_bytes() == before, "one that fails leaves the old file"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_page_shows_a_recorded_run_with_its_command_and_whether_it_is_current(book, run):
    begin = "from workbench.chapter import begin\nchapter = begin()"
    write_chapter(book.root, begin, "chapter.record('double', 2 * size, low=0, high=99, n=7)")
    record_result(book, run(size="21")[0], "toy-wide")
    intro = book.root / "book" / "intro.md"
    intro.write_text("# A small book\n\n```{recorded} toy-wide\n```\n")
    page, *_ = build(book, run)
    shown = (page.parent / "book" / "intro.html").read_text()
    text = re.sub(r"<[^>]+>", "", shown)
    assert "workbench run toy -p size=21" in text
    assert re.search(r"double\s+42\s+0 to 99\s+7", text)
    assert "Not current" not in text
    edit_cell(book.notebooks / "toy.ipynb", "cell-2", "chapter.record('double', 3 * size)")
    page, *_ = build(book, run)
    assert "Not current: the code of cell cell-2 changed" in (page.parent / "book" / "intro.html").read_text()
    intro.write_text("# A small book\n\n```{recorded} toy-wild\n```\n")
    with pytest.raises(RunError, match="nothing is recorded as toy-wild; did you mean toy-wide"):
        build(book, run)
    intro.write_text("# A small book\n\n```{recorded} toy-wide\n:metrics: triple\n```\n")
    with pytest.raises(RunError, match="toy-wide has no metric triple; there is double"):
        build(book, run)


def test_a_page_shows_a_recorded_sweep_as_figure_and_table(book, run):
    begin = "from workbench.chapter import begin\nchapter = begin()"
    write_chapter(
        book.root, begin, "chapter.record('double', 2 * size + seed)", "chapter.claim('Small', size, below=5)"
    )
    code, _, err = sweep(book, "-g", "size=4,5", "-g", "seed=0:2", "--workers", "2")
    assert code == 0, err
    record_result(book, find_sweep(book, "size-seed"), "toy-sizes")
    (book.root / "book" / "intro.md").write_text("# A small book\n\n```{recorded} toy-sizes\n```\n")
    page, *_ = build(book, run)
    shown = (page.parent / "book" / "intro.html").read_text()
    text = re.sub(r"<[^>]+>", "", shown)
    assert "workbench sweep toy -g size=4,5 -g seed=0,1" in text
    assert re.search(r"size\s+runs\s+double\s+4\s+2\s+8\.5 \(", text)
    assert "4 runs of" in text
    assert "✗ in 2 of 4 runs: Small." in text
    (image,) = re.findall(r'<img alt="(Line of double against size;[^"]+)"[^>]* src="([^"]+)"', shown)
    assert (page.parent / "book" / image[1]).read_bytes().startswith(b"\x89PNG")


def test_an_unusable_repository_is_refused(book, run):
    with pytest.raises(RequestError, match="repository"):
        build(book, run, repository="somewhere")


def test_code_that_pages_show_is_laid_out_beside_them(book, tmp_path):
    publish_module._stage(book, read_edition(book, "offline"), {}, None, tmp_path / "stage")
    assert "def attention(" in (tmp_path / "stage" / "lib" / "largemodels" / "attention" / "layers.py").read_text()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("chapters: [toy]\n", "expected `chapters:`"),
        ("chapters:\n  tox: {}\n", r"tox is not in _toc.yml; did you mean toy\?"),
        ("title: none\n", "expected `chapters:`"),
        ("chapters: {}\nonly: []\n", "expected `only:`"),
        ("chapters: {}\nonly: [tox]\n", r"tox is not in _toc.yml; did you mean toy\?"),
        ("[", "not YAML"),
    ],
)
def test_a_malformed_edition_is_refused(book, content, sentence):
    (book.editions / "offline.yml").write_text(content)
    with pytest.raises(RequestError, match=sentence):
        read_edition(book, "offline")


@pytest.mark.parametrize(
    "entry",
    [
        "file: notebooks/toy",
        "file: notebooks/toy.ipynb",
        "file: notebooks/toy  # the first one",
        "{file: notebooks/toy}",
        "file: 'notebooks/toy'",
        "file: book/part\n    sections:\n    - file: notebooks/toy",
    ],
)
def test_a_chapter_is_named_in_the_table_of_contents_as_jupyter_book_allows(project, entry):
    (project.root / "_toc.yml").write_text(f"format: jb-book\nroot: book/intro\nchapters:\n  - {entry}\n")
    assert chapters_of_book(project) == ["toy"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("root: book/intro\nentries:\n- file: notebooks/part1/d\n", "notebooks/part1/d is not in notebooks/ itself"),
        ("root: book/intro\nentries:\n- glob: notebooks/*\n", r"notebooks/\* is a pattern; name each chapter"),
        ("root: book/intro\nentries:\n- notebooks/toy\n", "it is not a table of contents: entry not a mapping"),
        ("root: book/intro\nchapter:\n- file: notebooks/toy\n", "it is not a table of contents: Unknown keys"),
        ("root: book/intro\nentries: 3\n", "it is not a table of contents: 'entries' not a non-empty list"),
        ("root: book/intro\ndefaults: 3\n", "it is not a table of contents"),
        ("- root: book/intro\n", "expected lines of `name: value`"),
        ("root: [", "the file is not YAML"),
        ("", "the file is empty"),
    ],
)
def test_a_table_of_contents_that_cannot_be_followed_is_refused(project, content, sentence):
    (project.root / "_toc.yml").write_text(content)
    with pytest.raises(RequestError, match=f"_toc.yml: {sentence}"):
        chapters_of_book(project)


def test_an_editions_parameters_are_checked_before_anything_runs(book):
    (book.editions / "offline.yml").write_text("chapters:\n  toy: {size: none}\n")
    with pytest.raises(RequestError, match="size: none is not a whole number"):
        staged_chapters(book, read_edition(book, "offline"))


def test_a_chapter_that_an_edition_leaves_out_has_its_defaults(book):
    (book.editions / "offline.yml").write_text("chapters: {}\n")
    assert staged_chapters(book, read_edition(book, "offline")) == [(load_contract(book, "toy"), {})]


def test_a_failed_chapter_stops_the_book_and_is_named(book, workbench):
    write_chapter(book.root, "raise RuntimeError('no')")
    result = workbench("book")
    assert result.returncode == 1
    assert "the book is not built, because the run of toy failed" in result.stderr
    assert not (book.build / "html").exists()


@pytest.fixture
def two_chapters(book):
    """A book of two chapters, of which the first, and a page of prose, link to the second."""
    linked = "# Toy\n\nSee [the other\nchapter](other.ipynb), [its part](other.ipynb#part) and [this](toy.ipynb)."
    shutil.copy(book.notebooks / "toy.ipynb", book.notebooks / "other.ipynb")
    edit_cell(book.notebooks / "toy.ipynb", "title", linked)
    (book.root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nparts:\n- caption: Chapters\n  numbered: 1\n  chapters:\n"
        "  - file: notebooks/toy\n  - file: notebooks/other\n- caption: Appendix\n  chapters:\n  - file: book/claims\n"
    )
    (book.root / "book" / "intro.md").write_text(
        "# A small book\n\n[One](../notebooks/toy.ipynb), [two](../notebooks/other.ipynb)\n"
    )
    return book


def test_a_book_of_one_chapter_has_no_link_that_leads_nowhere(two_chapters):
    edition = read_edition(two_chapters, "offline").of_chapters(two_chapters, ["toy"])
    page, fresh = publish(two_chapters, edition, {}, None, Quiet())
    assert fresh
    assert page == two_chapters.build / "offline" / "toy" / "html" / "index.html"
    assert [path.name for path in page.parent.glob("notebooks/*.html")] == ["toy.html"]
    assert not (page.parent / "book").exists()
    shown = (page.parent / "notebooks" / "toy.html").read_text()
    assert re.search(r"See the other\s+chapter, its part and <a [^>]*>", shown)


@pytest.mark.parametrize(("command_line", "chapters"), [((), ["toy", "other"]), (("--edition", "half"), ["other"])])
def test_an_edition_names_the_chapters_that_are_in_its_book(two_chapters, quickly, command, command_line, chapters):
    (two_chapters.editions / "half.yml").write_text("chapters: {}\nonly: [other]\n")
    assert command("book", "--committed", *command_line).returncode == 0
    edition = read_edition(two_chapters, command_line[1] if command_line else "offline")
    assert list(edition.only) == chapters
    assert [contract.chapter for contract, _ in staged_chapters(two_chapters, edition)] == chapters
    part, appendix = contents(two_chapters, edition)["parts"]
    assert appendix["chapters"] == [{"file": "book/claims"}]
    chosen = [{"file": f"notebooks/{chapter}"} for chapter in chapters]
    assert part == part | {"caption": "Chapters", "numbered": 1, "chapters": chosen}


def test_a_chapter_that_the_book_does_not_have_is_refused(two_chapters, command):
    result = command("book", "--chapter", "toi", "--committed")
    assert result.returncode == 2
    assert result.stderr.strip().endswith("toi is not in _toc.yml; did you mean toy?")
    assert not two_chapters.build.exists()


def test_a_path_in_an_edition_is_relative_to_the_checkout(book, monkeypatch):
    write_chapter(book.root, "print(texts)", parameters=TEXTS, read=False)
    (book.root / "data").mkdir()
    (book.root / "data" / "mine.txt").write_text("A sentence.\n")
    (book.editions / "offline.yml").write_text("chapters:\n  toy: {texts: data/mine.txt}\n")
    for folder in (book.root, book.notebooks):
        monkeypatch.chdir(folder)
        ((_, given),) = staged_chapters(book, read_edition(book, "offline"))
        assert given == {"texts": str(book.root / "data" / "mine.txt")}
