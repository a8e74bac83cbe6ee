"""The book: which chapters with which parameters, staged with the outputs of their runs and built.

A build goes into a fresh place and replaces the old book only when it succeeded without a warning. Where nothing that a
page is made of has changed, nothing is built. A PDF or an EPUB is made of the pages that are then there.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import filelock
import yaml

from workbench.book.contents import CHAPTERS, chapters_of_book
from workbench.core.errors import RequestError, RunError
from workbench.core.files import put_in_place, write_atomically
from workbench.core.packages import our_packages
from workbench.core.printed import redacted_log
from workbench.core.processes import run_python
from workbench.core.project import Project
from workbench.core.secrets import secrets_of_process
from workbench.core.text import COLOURS, nearest, nearest_or_all, shown
from workbench.parameters.contract import Contract, load_contract
from workbench.parameters.types import plain
from workbench.parameters.yaml_files import read_mapping
from workbench.runs.notebooks import page_of_run, staged, without_secrets
from workbench.runs.store import Run

DEFAULT_EDITION = "offline"
Form = Literal["html", "pdf", "epub"]
NAME = "large-model-workbench"
"""What a PDF or an EPUB is called."""
_STAGE = ".stage-"
_LONGEST = 100  # characters of a folder that is named by its chapters
_LINK = re.compile(r"\[(?P<text>[^\[\]]*)\]\((?P<page>[\w./-]+\.(?:ipynb|md))(?:#[\w-]*)?\)")
_ADDRESS = re.compile(r"https://(?P<host>[\w.-]*git(?:hub|lab)[\w.-]*)(?P<path>(?:/[\w.-]+){2,})")


@dataclass(frozen=True)
class Edition:
    """A name, each chapter's parameters where they differ from the defaults, and the chapters that are in the book."""

    name: str
    chapters: dict[str, dict[str, Any]]
    only: tuple[str, ...]
    with_prose: bool = True  # the pages of the book that are no chapters

    def of_chapters(self, project: Project, names: Sequence[str]) -> Edition:
        """The book of these chapters alone, without a page of prose, in a folder below that of the edition.

        Raises:
            RequestError: for one that the book does not have.
        """
        listed = chapters_of_book(project)
        if unknown := [name for name in names if name not in listed]:
            raise RequestError(f"{shown(unknown[0])} is not in _toc.yml{nearest_or_all(unknown[0], listed)}")
        only = tuple(name for name in listed if name in names)
        folder = "+".join(only)
        if len(folder) > _LONGEST:
            folder = f"{len(only)} chapters {hashlib.sha256(folder.encode()).hexdigest()[:8]}"
        return Edition(f"{self.name}/{folder}", self.chapters, only, with_prose=False)


def read_edition(project: Project, name: str) -> Edition:
    """An edition from `book/editions/NAME.yml`.

    Raises:
        RequestError: for an unknown edition, a malformed file, or a chapter that is not in the table of contents.
    """
    known = sorted(path.stem for path in project.editions.glob("*.yml"))
    if name not in known:
        raise RequestError(f"no edition {shown(name)}{nearest_or_all(name, known)}")
    path = project.editions / f"{name}.yml"
    content, listed = read_mapping(path), chapters_of_book(project)
    chapters, only = content.get("chapters"), content.get("only", listed)
    if not isinstance(chapters, dict) or not all(isinstance(given, dict) for given in chapters.values()):
        raise RequestError(f"{path}: expected `chapters:` with a mapping of parameters for each chapter")
    if not only or not isinstance(only, list) or not all(isinstance(chapter, str) for chapter in only):
        raise RequestError(f"{path}: expected `only:` with a list of the book's chapters, or no such line")
    for chapter in (*chapters, *only):
        if chapter not in listed:
            raise RequestError(f"{path}: {shown(chapter)} is not in _toc.yml{nearest(chapter, listed)}")
    return Edition(name, chapters, tuple(chapter for chapter in listed if chapter in only))


def staged_chapters(project: Project, edition: Edition) -> list[tuple[Contract, dict[str, Any]]]:
    """Every chapter of the edition with its parameters. All are checked before the first is run.

    Relative paths are those of the checkout, wherever the command was called.
    """
    staged_ones = []
    for contract in [load_contract(project, name) for name in edition.only]:
        given = edition.chapters.get(contract.chapter, {})
        with contextlib.chdir(project.root):
            values = contract.resolve(given)
        staged_ones.append((contract, {name: plain(values[name]) for name in given}))
    return staged_ones


def publish(
    project: Project, edition: Edition, runs: dict[str, Run], repository: str | None, log: Any, form: Form = "html"
) -> tuple[Path, bool]:
    """The first page of the built book, or the file of another form, and whether it has been made just now.

    Chapters without a run keep their committed outputs.

    Raises:
        RequestError: for a repository address that cannot be used, where `_build` cannot be written, or for a PDF
            without Chromium.
        RunError: when the build fails or warns; the old book stays, and the messages are in `_build/NAME.log`.
    """
    target = project.build / ("html" if edition.name == DEFAULT_EDITION else f"{edition.name}/html")
    make_folder(target.parent)
    with _turn(project, log), tempfile.TemporaryDirectory(dir=project.build, prefix=_STAGE) as temporary:
        source = Path(temporary) / "book"
        contracts = [load_contract(project, chapter) for chapter in edition.only]
        pages = {
            each.chapter: staged(each, runs[each.chapter]) if each.chapter in runs else each.notebook
            for each in contracts
        }
        _stage(project, edition, pages, repository, source)
        digest = _digest(source)
        page, mark = target / "index.html", target.parent / "html.digest"
        fresh = not mark.is_file() or mark.read_text() != f"{digest} {_state(target)}"
        if fresh:
            with log.busy("building the pages"):
                built = _build(source, project.build / f"{edition.name}.log")
            mark.unlink(missing_ok=True)
            put_in_place(built, target)
            write_atomically(mark, f"{digest} {_state(target)}")
        return (page, fresh) if form == "html" else _bound(project, edition, target, form, log)


def _bound(project: Project, edition: Edition, pages: Path, form: Form, log: Any) -> tuple[Path, bool]:
    """The file that is made of the built pages, and whether it has been made just now."""
    from sphinx_external_toc.parsing import parse_toc_data

    from workbench.book.epub import write_epub
    from workbench.book.pdf import write_pdf

    folder = pages.parent / form
    file, mark = folder / f"{NAME}.{form}", pages.parent / f"{form}.digest"
    of_pages = (pages.parent / "html.digest").read_text()
    if mark.is_file() and mark.read_text() == f"{of_pages} {_state(folder)}":
        return file, False
    make_folder(folder)
    config = read_mapping(project.root / "_config.yml", yaml.SafeLoader)
    write = write_pdf if form == "pdf" else write_epub
    with log.busy("printing the pages" if form == "pdf" else "binding the pages"):
        write(pages, parse_toc_data(contents(project, edition)), config, file)
    write_atomically(mark, f"{of_pages} {_state(folder)}")
    return file, True


def make_folder(folder: Path) -> None:
    """Make a folder for what is built, and those above it.

    Raises:
        RequestError: where it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = "it is not a folder" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror
        raise RequestError(f"{folder} cannot be written: {why}") from None


@contextlib.contextmanager
def _turn(project: Project, log: Any) -> Iterator[None]:
    """The lock under which one process at a time builds, without what a build that was killed has left."""
    lock = filelock.FileLock(project.build / ".lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        with log.busy("waiting for another build of the book"):
            lock.acquire()
    with lock:
        for stage in project.build.glob(f"{_STAGE}*"):
            shutil.rmtree(stage, ignore_errors=True)
        yield


def build_run(project: Project, run: Run, log: Any, folder: Path) -> None:
    """Build the page of a run, as it was executed, into a folder that is not there yet.

    Raises:
        RequestError: where the notebook is not the one that the run wrote.
        RunError: when the build fails or warns; the messages are in `_build/RUN.log`.
    """
    notebook = page_of_run(run)
    make_folder(project.build)
    with _turn(project, log), tempfile.TemporaryDirectory(dir=project.build, prefix=_STAGE) as temporary:
        edition = Edition(run.id, {}, (run.chapter,), with_prose=False)
        _stage(project, edition, {run.chapter: notebook}, None, Path(temporary) / "book")
        with log.busy("building the page"):
            shutil.move(_build(Path(temporary) / "book", project.build / f"{run.id}.log"), folder)


def _stage(
    project: Project, edition: Edition, notebooks: dict[str, dict[str, Any]], repository: str | None, folder: Path
) -> None:
    """Lay out what the pages are made of, as a checkout has it, with these notebooks as the chapters."""
    prose = () if edition.with_prose else ("*.md",)
    shutil.copytree(project.root / "book", folder / "book", ignore=shutil.ignore_patterns(".*.tmp", *prose))
    for name, package in our_packages().items():  # pages show functions by `literalinclude`
        shutil.copytree(package, folder / "lib" / name, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    (folder / "_toc.yml").write_text(yaml.safe_dump(contents(project, edition), sort_keys=False), encoding="utf-8")
    config = read_mapping(project.root / "_config.yml", yaml.SafeLoader)
    if repository:
        config = with_repository(config, repository)
    (folder / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    (folder / "notebooks").mkdir()
    for chapter, notebook in notebooks.items():
        path = folder / "notebooks" / f"{chapter}.ipynb"
        shown = without_secrets(notebook, secrets_of_process())  # it may have been run elsewhere
        path.write_text(json.dumps(shown, ensure_ascii=False), encoding="utf-8")
    if not edition.with_prose or edition.only != tuple(chapters_of_book(project)):
        _unlink_missing(folder)


def contents(project: Project, edition: Edition) -> dict[str, Any]:
    """The table of contents of an edition: that of the book, without the chapters, or the prose, that are not in it."""
    from sphinx_external_toc.parsing import create_toc_dict, parse_toc_yaml

    if not edition.with_prose:
        first, *rest = ({"file": str(CHAPTERS / chapter)} for chapter in edition.only)
        return {"format": "jb-book", "root": first["file"], **({"chapters": rest} if rest else {})}
    pages = parse_toc_yaml(project.root / "_toc.yml")
    left_out = {str(CHAPTERS / name) for name in chapters_of_book(project) if name not in edition.only}
    for page in pages.values():
        for tree in page.subtrees:
            tree.items = [item for item in tree.items if str(item).removesuffix(".ipynb") not in left_out]
        page.subtrees = [tree for tree in page.subtrees if tree.items]
    return create_toc_dict(pages)


def _unlink_missing(book: Path) -> None:
    """Turn links that lead to pages which are not in a staged book into their text."""
    for page in (*book.glob("notebooks/*.ipynb"), *book.rglob("book/**/*.md")):

        def text_alone(link: re.Match[str], page: Path = page) -> str:
            return link[0] if (page.parent / link["page"]).exists() else link["text"]

        source = page.read_text(encoding="utf-8")
        page.write_text(_LINK.sub(text_alone, source), encoding="utf-8")


def with_repository(config: dict[str, Any], url: str) -> dict[str, Any]:
    """`_config.yml`'s content with buttons to the repository, its issues, the source, Binder and Colab.

    Colab opens notebooks from github.com only, so a book elsewhere launches on Binder alone. A trailing slash or `.git`
    of the address is dropped.

    Raises:
        RequestError: for anything but the address of a repository on GitHub or GitLab; the theme knows no other.
    """
    address = url.strip().rstrip("/").removesuffix(".git")
    match = _ADDRESS.fullmatch(address)
    on_github = match is not None and match["host"] == "github.com"
    if match is None or (on_github and match["path"].count("/") > 2):
        raise RequestError(
            f"repository: {url!r} is not an address such as https://github.com/OWNER/NAME (GitHub or GitLab)"
        )
    added = {
        "repository": {"url": address, "branch": "main", "path_to_book": ""},
        "html": {"use_repository_button": True, "use_issues_button": True, "use_edit_page_button": True},
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com" if on_github else "",
        },
    }
    return config | {part: (config.get(part) or {}) | values for part, values in added.items()}


def _digest(folder: Path) -> str:
    """A digest of all that pages depend on: the staged files, our packages, and every installed version.

    A page shows whether a recorded result is current, so its words depend on far more than on what formats them.
    """
    digest = hashlib.sha256(_installed().encode())
    for root in [folder, *our_packages().values()]:
        for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            digest.update(f"{path.relative_to(root)} {path.stat().st_size} ".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _installed() -> str:
    """The name and version of every installed distribution."""
    return repr(sorted({(each.name, each.version) for each in importlib.metadata.distributions()}))


def _state(pages: Path) -> str:
    """A digest of the built files' names, sizes and times: plain `jupyter-book build .` writes to the same place."""
    stats = [(str(path.relative_to(pages)), path.stat()) for path in sorted(pages.rglob("*")) if path.is_file()]
    return hashlib.sha256(repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]).encode()).hexdigest()


def _build(source: Path, log: Path) -> Path:
    """The folder of the pages that Jupyter Book makes of a staged book. A warning is an error."""
    code = "from jupyter_book.cli.main import main; main()"
    options = ["build", str(source), "-n", "-W", "--keep-going"]
    with redacted_log(log, secrets_of_process()) as output:
        failed = run_python(code, *options, stdout=output, stderr=subprocess.STDOUT)
    if failed:
        raise RunError("\n".join([f"the pages were not built; {log} has the whole log", *_complaints(log, source)]))
    return source / "_build" / "html"


def _complaints(log: Path, source: Path) -> list[str]:
    """The lines of a build's log that say what is wrong, without colours and with paths inside the book."""
    text = COLOURS.sub("", log.read_text(encoding="utf-8"))
    lines = text.replace(f"{source}/", "").splitlines()
    complaints = [line for line in lines if re.search(r"WARNING|ERROR|Error:", line)]
    return complaints[:20] or lines[-10:]
