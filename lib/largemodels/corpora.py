"""Sentences to learn from: the documentation of the installed libraries (`pydocs`), or text files of the reader's own.

`largemodels.docstrings` reads the documentation, `largemodels.prose` cleans it, `largemodels.deduplication` removes
what resembles; here it becomes one table, split once and for all, and kept in the user's cache folder.
"""

from __future__ import annotations

import gc
import hashlib
import os
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from filelock import FileLock, Timeout

from largemodels import docstrings, prose
from largemodels.deduplication import keep_first

if TYPE_CHECKING:
    import pandas as pd

SHIPPED = ("pydocs",)

# The eight domains of `pydocs`: library, and what it is made of as {package to import: distribution to install}.
# Of look-alike sentences the first library keeps its own, so those that pretraining never reads come last.
LIBRARIES: dict[str, dict[str, str]] = {
    "numpy": {"numpy": "numpy"},
    "scipy": {"scipy": "scipy"},
    "pandas": {"pandas": "pandas"},
    "scikit-learn": {"sklearn": "scikit-learn"},
    "matplotlib": {"matplotlib": "matplotlib", "mpl_toolkits": "matplotlib", "seaborn": "seaborn"},
    "torch": {"torch": "torch"},
    "transformers": {"transformers": "transformers"},
    "datasets": {"datasets": "datasets", "accelerate": "accelerate"},
}
UNSEEN_LIBRARIES = ("transformers", "datasets")  # never read in pretraining: the domain that stays unseen
LABELS = (
    "summary",
    "parameters",
    "returns",
    "notes",
    "raises",
)  # sections that the docstrings' headings name

COLUMNS = ("sentence", "library", "section", "style", "document", "position", "split")

Progress = Callable[[int, int, str], None]

EXTRACTING = "reading docstrings"
COMPARING = "removing near duplicates"
WAITING = "waiting for another process to build the corpus"
KEPT_CACHE_FILES = 3


class CorpusError(ValueError):
    """A corpus that cannot be had, with what was given and what to do in one sentence.

    Jupyter shows the sentence without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"Corpus error: {self}"]


def sentences(source: str | os.PathLike[str] = "pydocs", *, progress: Progress | None = None) -> pd.DataFrame:
    """Return the sentences of a corpus, one a row, in the order of libraries, documents and positions.

    No two of them are duplicates or near duplicates (`keep_first`: Jaccard index of their words below 0.8), so none
    stands, even slightly reworded, in two splits. Of those that resemble each other the first is kept, wherever it is
    split to: which one that is depends on the libraries' order and the documents' names, not on the split, so the
    splits stay 80:10:10 and alike; and what the unseen libraries share with others counts as seen.

    Args:
        source: `"pydocs"`, a UTF-8 text file (`.txt`), or a folder of them. In text files every line is a paragraph.
        progress: called as `progress(done, total, message)` while a corpus is built. One in the cache needs none.

    Returns:
        A table with these columns.

        - sentence: plain words, markup removed;
        - library: the domain (a key of `LIBRARIES`), or the stem of the text file;
        - section: one of `LABELS`, or "description", "attributes", "examples"; "" in text files;
        - style: of the docstring: "numpydoc", "google", "sphinx" or, without headings, "plain"; "" in text files;
        - document: the identity of the docstring ("numpy:numpy.linalg.svd") or of the paragraph;
        - position: place in the document; consecutive sentences have consecutive positions;
        - split: "train", "validation" or "test", see `split_of`.

    Raises:
        CorpusError: if the source is missing, empty or not text, or a library is not installed.
    """
    if source in SHIPPED:
        stem = str(source)

        def build() -> pd.DataFrame:
            return _table(_docstring_rows(LIBRARIES, progress), progress)
    else:
        files = _text_files(source)
        stem = "text"

        def build() -> pd.DataFrame:
            return _table(_text_rows(files), progress)

    frame = _cached(_cache_file(source, stem), stem, build, progress)
    if frame.empty:
        raise CorpusError(f"{source}: holds no sentence; a corpus is UTF-8 text with one paragraph a line")
    return frame


def pretraining_sentences(
    source: str | os.PathLike[str] = "pydocs", *, progress: Progress | None = None
) -> pd.DataFrame:
    """Return the rows of `sentences` that pretraining may read: training documents, no `UNSEEN_LIBRARIES`."""
    frame = sentences(source, progress=progress)
    allowed = frame["split"] == "train"
    if source in SHIPPED:
        allowed &= ~frame["library"].isin(UNSEEN_LIBRARIES)
    return frame[allowed].reset_index(drop=True)


def split_of(document: str) -> str:
    """Return "train" (80%), "validation" (10%) or "test" (10%), by a hash of the document's identity.

    The identity alone decides, so a document stays where it is when others come, go or change.
    """
    digest = hashlib.sha256(document.encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return "train" if share < 0.8 else "validation" if share < 0.9 else "test"


def fingerprint(source: str | os.PathLike[str] = "pydocs") -> str:
    """Return a hexadecimal SHA-256 of what decides the corpus's content, in milliseconds: nothing is extracted.

    For `pydocs`: the versions of the libraries and the code that reads them; for text: the files' names and bytes.

    Raises:
        CorpusError: as `sentences` does for a missing source.
    """
    digest = hashlib.sha256()
    if source in SHIPPED:
        for distribution in sorted({name for packages in LIBRARIES.values() for name in packages.values()}):
            digest.update(f"{distribution}=={_version(distribution)}\n".encode())
        digest.update(_code_digest().encode())
    else:
        for path in _text_files(source):
            digest.update(f"{path.name}\0{hashlib.sha256(_bytes(path)).hexdigest()}\n".encode())
    return digest.hexdigest()


def _version(distribution: str) -> str:
    try:
        # Builds of one version, such as 2.13.0+cpu, carry the same documentation.
        return metadata.version(distribution).partition("+")[0]
    except metadata.PackageNotFoundError:
        raise CorpusError(f"{distribution} is not installed, and the corpus pydocs reads its documentation") from None


def _code_digest() -> str:
    """Return a digest of the modules that decide what a corpus holds."""
    digest = hashlib.sha256()
    for name in ("corpora", "deduplication", "docstrings", "prose"):
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return digest.hexdigest()


# Rows: (sentence, library, section, style, document, position)

Row = tuple[str, str, str, str, str, int]


def _table(rows: list[Row], progress: Progress | None) -> pd.DataFrame:
    """Return the rows without near duplicates, split."""
    import pandas as pd  # here, because the command line asks for fingerprints and needs to start fast

    if progress:
        progress(0, 1, COMPARING)
    kept = keep_first([row[0] for row in rows])
    frame = pd.DataFrame([(*rows[i], split_of(rows[i][4])) for i in kept], columns=list(COLUMNS))
    if progress:
        progress(1, 1, COMPARING)
    return frame


def _docstring_rows(
    libraries: dict[str, dict[str, str]], progress: Progress | None = None, workers: int | None = None
) -> list[Row]:
    """Return all sentences of the libraries' documentation, ordered by library, document and position."""
    try:
        sources = [
            (library, str(path), module)
            for library, packages in libraries.items()
            for package in packages
            for path, module in docstrings.package_sources(package)
        ]
    except ModuleNotFoundError as error:
        raise CorpusError(f"{error.name} is not installed, and the corpus pydocs reads its documentation") from None
    chunks = [sources[start : start + 50] for start in range(0, len(sources), 50)]
    found: list[tuple[str, str, str, list[docstrings.Sentence]]] = []
    done = 0
    for chunk, read in zip(chunks, _read_all(chunks, workers or _workers(len(chunks))), strict=True):
        found += read
        done += len(chunk)
        if progress:
            progress(done, len(sources), EXTRACTING)
    rank = {library: place for place, library in enumerate(libraries)}
    found.sort(key=lambda item: (rank[item[0]], item[1]))
    return list(_numbered(found))


def _workers(chunks: int) -> int:
    if chunks < 4:
        return 1
    import joblib

    return min(joblib.cpu_count(), 8)  # all cores that this process may use


def _read_all(chunks: list[list[tuple[str, str, str]]], workers: int) -> Iterable[list]:
    """Yield what `_read` returns for each chunk, in order.

    The processes are loky's: unlike multiprocessing's they never import `__main__`, so a notebook, or a script
    without a main guard, can call this; and unlike forked ones they are safe beside threads that hold locks.
    """
    if workers == 1:
        yield from map(_read, chunks)
        return
    from joblib.externals.loky import ProcessPoolExecutor

    with ProcessPoolExecutor(max_workers=workers) as pool:
        yield from pool.map(_read, chunks)


def _read(chunk: list[tuple[str, str, str]]) -> list[tuple[str, str, str, list[docstrings.Sentence]]]:
    """Return (library, document, style, sentences) for each docstring in (library, path, module)."""
    found = []
    collecting = gc.isenabled()
    gc.disable()  # syntax trees hold no cycles, and walking them again and again costs a sixth of the time
    try:
        for library, path, module in chunk:
            for docstring in docstrings.read_docstrings(Path(path).read_bytes(), module):
                style, read = docstrings.labelled_sentences(docstring.text)
                if read:
                    found.append((library, f"{library}:{docstring.name}", style, read))
    finally:
        if collecting:
            gc.enable()
    return found


def _numbered(found: Iterable[tuple[str, str, str, list[docstrings.Sentence]]]) -> Iterable[Row]:
    """Yield rows; docstrings that share an identity follow each other, with a gap between their positions."""
    previous, start = "", 0
    for library, document, style, read in found:
        start = start if document == previous else 0
        for sentence in read:
            yield sentence.text, library, sentence.section, style, document, start + sentence.position
        previous, start = document, start + read[-1].position + 2


def _text_files(source: str | os.PathLike[str]) -> list[Path]:
    """Return the text files that `source` names, a file or all `.txt` files directly in a folder."""
    path = Path(source).expanduser()
    if not path.exists():
        shipped = ", ".join(SHIPPED)
        raise CorpusError(f"{source}: no such corpus; give a shipped one ({shipped}), a .txt file or a folder of them")
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise CorpusError(f"{source}: the folder holds no .txt file")
    if files[0].suffix != ".txt":
        raise CorpusError(f"{source}: not a .txt file; a corpus is UTF-8 text with one paragraph a line")
    return files


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror})") from None


def _text_rows(files: list[Path]) -> list[Row]:
    """Return the sentences of text files. A paragraph's identity is its content, wherever it stands in the file."""
    rows: list[Row] = []
    for path in files:
        try:
            text = _bytes(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise CorpusError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
        for paragraph in filter(None, map(str.strip, text.splitlines())):
            document = f"{path.stem}:{hashlib.sha256(paragraph.encode()).hexdigest()[:16]}"
            for position, sentence in enumerate(prose.split_sentences(paragraph)):
                rows.append((sentence, path.stem, "", "", document, position))
    return rows


# Cache


def cache_folder() -> Path:
    """Return the folder that corpora are kept in: `$WORKBENCH_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("WORKBENCH_CACHE") or platformdirs.user_cache_dir("large-model-workbench"))


def is_cached(name: str) -> bool:
    """Return whether a shipped corpus is in the cache as the installed packages and the present code make it."""
    return _cache_file(name, name).is_file()


def _cache_file(source: str | os.PathLike[str], stem: str) -> Path:
    """Return where a corpus is kept: its name changes with its data and with the code that reads them."""
    key = hashlib.sha256(f"{fingerprint(source)} {_code_digest()}".encode()).hexdigest()
    return cache_folder() / f"{stem}-{key[:16]}.parquet"


def _cached(path: Path, stem: str, build: Callable[[], pd.DataFrame], progress: Progress | None = None) -> pd.DataFrame:
    """Return the table kept in the file `path`, or build it and keep it; one process builds while others wait."""
    folder = path.parent
    if (frame := _read_table(path)) is not None:
        return frame
    lock = FileLock(folder / f"{stem}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = _acquire(lock, progress)
    except OSError as error:
        _warn_uncached(folder, error)
        return build()
    with held:
        if (frame := _read_table(path)) is None:
            frame = build()
            _write_table(frame, path)
            _remove_old(folder, stem)
    return frame


def _acquire(lock: FileLock, progress: Progress | None) -> AbstractContextManager:
    """Take the lock, and say so where that means waiting for somebody else's minute of work."""
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        if progress:
            progress(0, 1, WAITING)
        return lock.acquire()


def _read_table(path: Path) -> pd.DataFrame | None:
    """Return the table of a cache file, or None if there is none or it is damaged."""
    if not path.is_file():
        return None
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError):  # pyarrow's errors are among these
        return None
    return frame if tuple(frame.columns) == COLUMNS else None


def _write_table(frame: pd.DataFrame, path: Path) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        frame.to_parquet(partial, index=False)
        partial.replace(path)
    except OSError as error:
        _warn_uncached(path.parent, error)
    finally:
        partial.unlink(missing_ok=True)


def _remove_old(folder: Path, stem: str) -> None:
    """Keep the newest few tables: switching between two environments should not rebuild each time."""
    tables = sorted(folder.glob(f"{stem}-*.parquet"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in tables[KEPT_CACHE_FILES:]:
        path.unlink(missing_ok=True)


def _warn_uncached(folder: Path, error: OSError) -> None:
    reason = error.strerror or error
    warnings.warn(f"the corpus is not cached: {folder}: {reason}; WORKBENCH_CACHE names another", stacklevel=4)
