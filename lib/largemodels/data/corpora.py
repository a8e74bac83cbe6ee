"""Sentences to learn from: the documentation of the installed libraries (`pydocs`), or any other text.

`largemodels.data.pydocs` reads the documentation, `largemodels.data.sources` files and the Hub's data, and
`largemodels.data.deduplication` removes what resembles; here it becomes one table, split once and for all, and kept in
the user's cache folder (`largemodels.base.cache`).
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from largemodels.base.cache import Progress, cache_folder, kept_digest, kept_table, table_digest
from largemodels.base.errors import InputError, raised_as
from largemodels.base.files import is_here
from largemodels.data import sources
from largemodels.data.columns import text_column
from largemodels.data.deduplication import keep_first
from largemodels.data.description import source_in_words
from largemodels.data.pydocs import docstrings, prose, sections

if TYPE_CHECKING:
    import pandas as pd

SHIPPED = ("pydocs",)

# The eight domains of `pydocs`: library, and what it is made of as {package to import: distribution to install}.
# Of look-alike sentences that of the first library is kept, so those that pretraining never reads come last.
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
Library = Literal["numpy", "scipy", "pandas", "scikit-learn", "matplotlib", "torch", "transformers", "datasets"]
"""A domain of `pydocs`: the keys of `LIBRARIES`, as a chapter's parameters name them."""

UNSEEN_LIBRARIES = ("transformers", "datasets")  # never read in pretraining: the domain that stays unseen
LABELS = ("summary", "parameters", "returns", "notes", "raises")  # sections that the docstrings' headings name

COLUMNS = ("sentence", "library", "section", "style", "document", "position", "split")

EXTRACTING = "reading docstrings"
COMPARING = "removing near duplicates"


class CorpusError(InputError):
    """A corpus that cannot be had: why, and what to do, in one sentence."""


def sentences(source: str | os.PathLike[str] = "pydocs", *, progress: Progress | None = None) -> pd.DataFrame:
    """The sentences of a corpus, one a row, in the order of libraries, documents and positions.

    No two of them are duplicates or near duplicates (`keep_first`: Jaccard index of their words below 0.8), so none
    stands, even slightly reworded, in two splits. Of those that resemble each other the first is kept, wherever it is
    split to: which one that is depends on the libraries' order and the documents' names, not on the split, so the
    splits stay 80:10:10 and alike; and what the unseen libraries share with others counts as seen.

    Args:
        source: `"pydocs"`; a UTF-8 text file (`.txt`), where every line is a paragraph; a CSV, TSV, JSON-lines or
            Parquet file, where every row is a document (its text is found as `columns` says); a folder of either, or
            of `save_to_disk`; or a Hub id `organisation/name[:config][@revision]`.
        progress: called as `progress(done, total, message)` while a corpus is built.

    Returns:
        A table with these columns.

        - sentence: plain words, markup removed;
        - library: the domain (a key of `LIBRARIES`), the stem of the file, or the name of the Hub's data set;
        - section: one of `LABELS`, or "description", "attributes", "examples"; "" outside `pydocs`;
        - style: of the docstring: "numpydoc", "google", "sphinx" or, without headings, "plain"; "" outside `pydocs`;
        - document: the identity of the docstring ("numpy:numpy.linalg.svd"), of the paragraph or of the row;
        - position: place in the document; consecutive sentences have consecutive positions;
        - split: "train", "validation" or "test", see `split_of`. The splits of files do not count: the identity
          decides, so that no document changes its split with the file that it came in.

        Its `attrs` say how it was read; `description.describe_corpus` has them in words.

    Raises:
        CorpusError: if the source is missing, empty or not text, or a library is not installed.
    """
    stem = str(source) if source in SHIPPED else "text"

    def build() -> pd.DataFrame:
        if source in SHIPPED:
            rows, reading = _docstring_rows(LIBRARIES, progress), {"source": source_in_words(source, "", shipped=True)}
        else:
            rows, reading = _source_rows(source, progress)
        return _table(rows, progress, reading)

    with raised_as(CorpusError):
        frame = kept_table(_cache_file(source, stem), stem, COLUMNS, build, progress)
    if frame.empty:
        raise CorpusError(f"{source}: holds no sentence; a corpus is UTF-8 text with one paragraph a line")
    return frame


def pretraining_sentences(
    source: str | os.PathLike[str] = "pydocs", *, progress: Progress | None = None
) -> pd.DataFrame:
    """The rows of `sentences` that pretraining may read: training documents, no `UNSEEN_LIBRARIES`."""
    frame = sentences(source, progress=progress)
    allowed = frame["split"] == "train"
    if source in SHIPPED:
        allowed &= ~frame["library"].isin(UNSEEN_LIBRARIES)
    return frame[allowed].reset_index(drop=True)


def split_of(document: str) -> str:
    """The split, "train" (80%), "validation" (10%) or "test" (10%), by a hash of the document's identity.

    The identity alone decides, so a document stays where it is when others come, go or change.
    """
    digest = hashlib.sha256(document.encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return "train" if share < 0.8 else "validation" if share < 0.9 else "test"


def fingerprint(source: str | os.PathLike[str] = "pydocs") -> str:
    """A hexadecimal SHA-256 of the corpus's content; for a Hub id the commit that it stands for, `id@commit`.

    For `pydocs` it is that of its sentences, whatever code has read them, and kept beside them: the corpus is built
    where it is not in the cache yet. For files it is that of their names and bytes. Errors are those of `sentences`.
    """
    if source in SHIPPED:
        return kept_digest(_cache_file(source, str(source))) or table_digest(sentences(source))
    with raised_as(CorpusError):
        if sources.hub_id(source) is None and not is_here(source):
            raise CorpusError(
                f"{source}: no such corpus; give a shipped one ({', '.join(SHIPPED)}), a file or folder of text or "
                "tables, or a Hub id (organisation/name)"
            )
        return sources.fingerprint(source)


def _code_digest(*more: str) -> str:
    """A digest of the modules that decide what `pydocs` holds, and of more of them for other corpora."""
    digest = hashlib.sha256()
    for name in ("corpora", "deduplication", "pydocs/docstrings", "pydocs/sections", "pydocs/prose", "texts", *more):
        digest.update(Path(__file__).parent.joinpath(f"{name}.py").read_bytes())
    return digest.hexdigest()


def _versions_digest() -> str:
    digest = hashlib.sha256()
    for distribution in sorted({name for packages in LIBRARIES.values() for name in packages.values()}):
        try:
            # Builds of one version, such as 2.13.0+cpu, carry the same documentation.
            version = metadata.version(distribution).partition("+")[0]
        except metadata.PackageNotFoundError:
            raise _not_installed(distribution) from None
        digest.update(f"{distribution}=={version}\n".encode())
    return digest.hexdigest()


def _not_installed(package: str | None) -> CorpusError:
    return CorpusError(f"{package} is not installed, and the corpus pydocs reads its documentation")


# Rows

Row = tuple[str, str, str, str, str, int]  # sentence, library, section, style, document, position
Document = tuple[str, str, str, list[sections.Sentence]]  # library, document, style, sentences


def _table(rows: list[Row], progress: Progress | None, reading: Mapping[str, str] = {}) -> pd.DataFrame:
    """The rows without near duplicates, split; `attrs["reading"]` says how they were read."""
    import pandas as pd  # here, because the command line asks for fingerprints and needs to start fast

    if progress:
        progress(0, 1, COMPARING)
    kept = keep_first([row[0] for row in rows])
    frame = pd.DataFrame([(*rows[i], split_of(rows[i][4])) for i in kept], columns=list(COLUMNS))
    frame.attrs["reading"] = {**reading, "dropped": len(rows) - len(frame)}  # Parquet keeps it
    if progress:
        progress(1, 1, COMPARING)
    return frame


def _docstring_rows(
    libraries: dict[str, dict[str, str]], progress: Progress | None = None, workers: int | None = None
) -> list[Row]:
    """All sentences of the libraries' documentation, ordered by library, document and position."""
    try:
        files = [
            (library, str(path), module)
            for library, packages in libraries.items()
            for package in packages
            for path, module in docstrings.package_sources(package)
        ]
    except ModuleNotFoundError as error:
        raise _not_installed(error.name) from None
    chunks = [files[start : start + 50] for start in range(0, len(files), 50)]
    documents: list[Document] = []
    done = 0
    for chunk, read in zip(chunks, _read_all(chunks, workers), strict=True):
        documents += read
        done += len(chunk)
        if progress:
            progress(done, len(files), EXTRACTING)
    rank = {library: place for place, library in enumerate(libraries)}
    documents.sort(key=lambda document: (rank[document[0]], document[1]))
    return list(_numbered(documents))


def _read_all(chunks: list[list[tuple[str, str, str]]], workers: int | None) -> Iterable[list[Document]]:
    """What `_read` returns for each chunk, in order; by default on all cores that this process may use.

    The processes are loky's: unlike multiprocessing's they never import `__main__`, so a notebook, or a script
    without a main guard, can call this; and unlike forked ones they are safe beside threads that hold locks.
    """
    if workers == 1 or (workers is None and len(chunks) < 4):
        yield from map(_read, chunks)
        return
    import joblib
    from joblib.externals.loky import ProcessPoolExecutor

    # Syntax trees hold no cycles, and to look for some again and again costs a sixth of the time.
    with ProcessPoolExecutor(workers or min(joblib.cpu_count(), 8), initializer=gc.disable) as pool:
        yield from pool.map(_read, chunks)


def _read(chunk: list[tuple[str, str, str]]) -> list[Document]:
    """For each docstring of the files (library, path, module): library, document, style and sentences."""
    documents: list[Document] = []
    for library, path, module in chunk:
        for docstring in docstrings.read_docstrings(Path(path).read_bytes(), module):
            style, read = sections.labelled_sentences(docstring.text)
            if read:
                documents.append((library, f"{library}:{docstring.name}", style, read))
    return documents


def _numbered(documents: Iterable[Document]) -> Iterable[Row]:
    """Rows; docstrings that share an identity follow each other, with a gap between their positions."""
    previous, start = "", 0
    for library, document, style, read in documents:
        start = start if document == previous else 0
        for sentence in read:
            yield sentence.text, library, sentence.section, style, document, start + sentence.position
        previous, start = document, start + read[-1].position + 2


# Other text


def _source_rows(source: str | os.PathLike[str], progress: Progress | None) -> tuple[list[Row], dict[str, str]]:
    """The sentences of files, and how they were read. A paragraph's or row's identity is its content, anywhere."""
    rows: list[Row] = []
    columns, count = {}, 0
    for part in sources.read(source, progress):
        column = text_column(part.frame, source, "rename it to text")
        columns[str(column)] = None
        count += len(part.frame)
        for text in part.frame[column.name]:
            paragraphs = [line for line in map(str.strip, str(text or "").splitlines()) if line]
            document = f"{part.stem}:{hashlib.sha256(chr(10).join(paragraphs).encode()).hexdigest()[:16]}"
            split = [sentence for paragraph in paragraphs for sentence in prose.split_sentences(paragraph)]
            rows += [(sentence, part.stem, "", "", document, place) for place, sentence in enumerate(split)]
    reading = {"source": source_in_words(source, fingerprint(source)), "text": ", ".join(columns), "rows": f"{count:,}"}
    return rows, reading


def check(source: str | os.PathLike[str]) -> None:
    """Refuse the files that `sentences` refuses, in the time that it takes to read them."""
    if source not in SHIPPED:
        with raised_as(CorpusError):
            for part in sources.read(source):
                text_column(part.frame, source, "rename it to text")


# Cache


def is_cached(name: str) -> bool:
    """Whether a shipped corpus is in the cache as the installed packages and the present code make it."""
    return kept_digest(_cache_file(name, name)) is not None


def _cache_file(source: str | os.PathLike[str], stem: str) -> Path:
    """Where a corpus is kept: its name changes with its data and with the code that reads them."""
    readers = () if source in SHIPPED else ("columns", "description", "packed", "sources", "tables")
    content = _versions_digest() if source in SHIPPED else fingerprint(source)
    key = hashlib.sha256(f"{content} {_code_digest(*readers)} ".encode()).hexdigest()
    return cache_folder() / f"{stem}-{key[:16]}.parquet"
