"""The corpus: one table, split for good, without look-alikes across splits, kept in a cache."""

import hashlib
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from typing import get_args

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from largemodels.base.cache import KEPT_CACHE_FILES
from largemodels.data import corpora
from largemodels.data.deduplication import keep_first


@pytest.fixture(scope="session")
def pydocs():
    return corpora.sentences()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("WORKBENCH_CACHE", str(folder))
    return folder


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Install a small package of 260 modules and make it the only library."""
    package = tmp_path / "site" / "a_library_of_ours"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""Solve small problems in large numbers."""\n')
    for number in range(260):
        source = f'''
            def solve_{number}(x):
                """Solve problem number {number} of the kind {number * 7} in class {number * 13}.

                Parameters
                ----------
                x : int
                    The start of search {number}, which lies near {number * 11} or near {number * 17}.
                """
            '''
        (package / f"_module_{number}.py").write_text(dedent(source))
    monkeypatch.syspath_prepend(package.parent)
    libraries = {"ours": {"a_library_of_ours": "pytest"}}
    monkeypatch.setattr(corpora, "LIBRARIES", libraries)
    return libraries


# Splits


@pytest.mark.parametrize(
    ("document", "split"),
    [
        ("numpy:numpy.linalg.svd", "train"),
        ("scipy:scipy.signal.welch", "train"),
        ("torch:torch.abs", "validation"),
        ("torch:torch.erf", "validation"),
        ("torch:torch.nn.Linear", "test"),
        ("numpy:numpy.lib.insert", "train"),  # hashed to 0.7998, and the next to 0.8038, 0.8957 and 0.9018
        ("numpy:numpy.defchararray.array", "validation"),
        ("numpy:numpy.fromnumeric.put", "validation"),
        ("numpy:numpy.distutils.PosixParser", "test"),
    ],
)
def test_documents_stay_in_their_split_for_good(document, split):
    assert corpora.split_of(document) == split


@given(st.text())
def test_every_identity_has_a_split(document):
    assert corpora.split_of(document) in {"train", "validation", "test"}


def test_splits_are_near_80_10_10(pydocs):
    documents = pydocs.drop_duplicates("document")
    for table in (documents, *(group for _, group in documents.groupby("library"))):
        shares = table["split"].value_counts(normalize=True)
        tolerance = 4 * (0.25 / len(table)) ** 0.5  # four standard errors of a fair coin, which is more than enough
        assert shares["train"] == pytest.approx(0.8, abs=tolerance)
        assert shares["validation"] == pytest.approx(0.1, abs=tolerance)


def test_each_document_is_in_one_split_by_its_identity(pydocs):
    documents = pydocs.drop_duplicates(["document", "split"])
    assert not documents["document"].duplicated().any()
    assert (documents["document"].map(corpora.split_of) == documents["split"]).all()


# The corpus


def test_it_has_the_expected_columns_libraries_and_labels(pydocs):
    assert tuple(pydocs.columns) == corpora.COLUMNS
    assert set(pydocs["library"]) == set(corpora.LIBRARIES)
    assert set(pydocs["section"]) == {*corpora.LABELS, "description", "attributes", "examples"}
    assert not pydocs.isna().any(axis=None)
    labelled = pydocs[pydocs["section"].isin(corpora.LABELS)]
    assert len(labelled) > 50_000
    assert labelled.groupby("library").size().min() > 1_000


def test_sentences_are_in_order(pydocs):
    rank = {library: place for place, library in enumerate(corpora.LIBRARIES)}
    keys = list(zip(pydocs["library"].map(rank), pydocs["document"], pydocs["position"], strict=True))
    assert keys == sorted(set(keys))


def test_a_well_known_docstring_is_in_it(pydocs):
    svd = pydocs[pydocs["document"] == "numpy:numpy.linalg.svd"]
    assert {"parameters", "returns", "notes"} <= set(svd["section"])
    assert set(svd["style"]) == {"numpydoc"}


def test_no_two_sentences_resemble_each_other_in_any_split(pydocs):
    assert keep_first(list(pydocs["sentence"])) == list(range(len(pydocs)))


def test_no_markup_is_left(pydocs):
    assert not pydocs["sentence"].str.contains(r"[`\\{}\x00-\x1f]|:class:|>>>|::").any()


def test_pretraining_reads_training_documents_and_no_hugging_face_library(pydocs):
    read = corpora.pretraining_sentences()
    assert set(read["split"]) == {"train"}
    assert set(read["library"]) == set(corpora.LIBRARIES) - {"transformers", "datasets"}
    prefixes = tuple(
        f"{library}:{package}"
        for library in ("transformers", "datasets")
        for package in ("transformers", "datasets", "accelerate")
    )
    assert not read["document"].str.startswith(prefixes).any()
    assert len(read) == ((pydocs["split"] == "train") & ~pydocs["library"].isin(["transformers", "datasets"])).sum()


def test_only_the_hugging_face_libraries_are_unseen():
    assert set(corpora.UNSEEN_LIBRARIES) == {"transformers", "datasets"}
    hugging_face = {package for name in corpora.UNSEEN_LIBRARIES for package in corpora.LIBRARIES[name]}
    assert hugging_face == {"transformers", "datasets", "accelerate"}


# Extraction


def test_the_number_of_workers_changes_nothing(library):
    one = corpora._docstring_rows(library, workers=1)
    two = corpora._docstring_rows(library, workers=2)
    assert len(one) == 2 * 260 + 1
    assert one == two


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_hash_seed_changes_nothing(library, cache, seed):
    script = (
        "import hashlib\nfrom largemodels.data import corpora\n"
        f"table = corpora._table(corpora._docstring_rows({library!r}, workers=1), None)\n"
        "print(hashlib.sha256(table.to_csv().encode()).hexdigest())\n"
    )
    path = os.pathsep.join([str(cache.parent / "site"), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    expected = corpora._table(corpora._docstring_rows(library, workers=1), None).to_csv()
    assert done.stdout.strip() == hashlib.sha256(expected.encode()).hexdigest()


def test_progress_is_told_up_to_the_end(library, cache):
    calls = []
    corpora.sentences(progress=lambda *call: calls.append(call))
    reading = [(done, total) for done, total, message in calls if message == corpora.EXTRACTING]
    assert reading == sorted(reading)
    assert reading[-1] == (261, 261)
    assert calls[-1] == (1, 1, corpora.COMPARING)


def test_a_script_without_a_main_guard_can_extract(library, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "from largemodels.data import corpora\n"
        f"print(len(corpora._docstring_rows({library!r}, workers=2)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "521\n"), done.stderr


def test_importing_the_module_loads_no_heavy_library():
    corpora.fingerprint()  # built once, it is read from beside the corpus
    code = """
import sys
from largemodels.data import corpora
from largemodels.base.cache import KEPT_CACHE_FILES
corpora.fingerprint()
print({"pandas", "torch", "numpy"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_docstrings_that_share_a_name_do_not_run_into_each_other(tmp_path, monkeypatch):
    package = tmp_path / "a_twin_of_ours"
    package.mkdir()
    (package / "__init__.py").write_text(
        'def f():\n    """One two three four."""\ndef f():\n    """Five six seven eight."""'
    )
    monkeypatch.syspath_prepend(tmp_path)
    rows = corpora._docstring_rows({"ours": {"a_twin_of_ours": "pytest"}})
    assert [(row[0], row[5]) for row in rows] == [("One two three four.", 0), ("Five six seven eight.", 2)]


def test_a_library_that_is_not_installed_is_named(monkeypatch, cache):
    monkeypatch.setattr(corpora, "LIBRARIES", {"none": {"no_such_package_here": "no-such-distribution"}})
    with pytest.raises(corpora.CorpusError, match=r"^no-such-distribution is not installed"):
        corpora.fingerprint()
    with pytest.raises(corpora.CorpusError, match=r"^no_such_package_here is not installed"):
        corpora._docstring_rows(corpora.LIBRARIES)


# Cache


def test_the_second_call_reads_the_cache(library, cache, monkeypatch):
    first = corpora.sentences()
    monkeypatch.setattr(corpora, "_docstring_rows", None)
    pd.testing.assert_frame_equal(corpora.sentences(), first)
    assert sorted(path.suffix for path in cache.glob("pydocs-*")) == [".parquet", ".sha256"]


@pytest.mark.parametrize("damage", [b"", b"PAR1 and then nothing", b"PAR1" + b"\0" * 500 + b"PAR1"])
def test_a_damaged_cache_file_is_replaced(library, cache, damage):
    first = corpora.sentences()
    (path,) = cache.glob("pydocs-*.parquet")
    path.write_bytes(damage)
    pd.testing.assert_frame_equal(corpora.sentences(), first)
    assert path.read_bytes() != damage


def test_a_truncated_cache_file_is_replaced(library, cache):
    first = corpora.sentences()
    (path,) = cache.glob("pydocs-*.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    pd.testing.assert_frame_equal(corpora.sentences(), first)


def test_an_unwritable_cache_is_done_without_and_said(library, tmp_path, monkeypatch):
    (tmp_path / "a_file").write_text("")
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "a_file" / "cache"))
    with pytest.warns(UserWarning, match="not cached.*WORKBENCH_CACHE"):
        frame = corpora.sentences()
    assert len(frame) > 100


def test_a_full_disk_is_done_without_and_said(library, cache, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.warns(UserWarning, match="No space left"):
        frame = corpora.sentences()
    assert len(frame) > 100
    assert not list(cache.glob("pydocs-*"))


def test_concurrent_builders_build_once(library, cache, monkeypatch):
    builds = []
    build = corpora._docstring_rows
    monkeypatch.setattr(corpora, "_docstring_rows", lambda *given: builds.append(1) or build(*given, workers=1))
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(lambda _: corpora.sentences(), range(4)))
    assert len(builds) == 1
    assert all(frame.equals(frames[0]) for frame in frames)


def test_few_old_tables_are_kept(cache, tmp_path):
    for number in range(6):
        (tmp_path / "text.txt").write_text(f"A line with the number {number}.")
        corpora.sentences(tmp_path / "text.txt")
    assert len(list(cache.glob("text-*.parquet"))) == KEPT_CACHE_FILES


# Text of one's own


def test_a_text_file_gives_its_sentences(tmp_path, cache):
    path = tmp_path / "letters.txt"
    path.write_text("\ufeffDear reader. How are you?\n\nAll is well — façade.\n", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = corpora.sentences(str(path))
    assert list(frame["sentence"]) == ["Dear reader.", "How are you?", "All is well — façade."]
    assert list(frame["position"]) == [0, 1, 0]
    assert set(frame["library"]) == {"letters"}
    assert set(frame["section"]) == set(frame["style"]) == {""}
    assert list(frame["split"]) == list(frame["document"].map(corpora.split_of))
    assert frame["document"].nunique() == 2


def test_a_paragraph_keeps_its_identity_wherever_it_stands(tmp_path, cache):
    path = tmp_path / "letters.txt"
    path.write_text("First paragraph here.\nSecond one there.\n")
    before = corpora.sentences(path).set_index("sentence")
    path.write_text("Something new above.\nSecond one there.\nFirst paragraph here.\n")
    after = corpora.sentences(path).set_index("sentence")
    assert (after.loc[before.index, ["document", "split"]] == before[["document", "split"]]).all(axis=None)


def test_a_folder_gives_one_library_per_file(tmp_path, cache):
    (tmp_path / "b.txt").write_text("The second file.")
    (tmp_path / "a.txt").write_text("A first one.")
    (tmp_path / "c.md").write_text("Not this one.")
    assert list(corpora.sentences(tmp_path)["library"]) == ["a", "b"]


def test_pretraining_on_text_reads_its_training_paragraphs(tmp_path, cache):
    path = tmp_path / "transformers.txt"  # the name of an unseen library says nothing about a reader's own text
    path.write_text("\n".join(f"Paragraph {n} about topic {n * 7}." for n in range(50)))
    assert set(corpora.pretraining_sentences(path)["split"]) == {"train"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.txt", None, "no such corpus; give a shipped one (pydocs)"),
        ("empty.txt", b"", "holds no sentence"),
        ("blank.txt", b"\n  \n...\n", "holds no sentence"),
        ("latin.txt", "façade".encode("latin-1"), "not UTF-8 text (byte 2)"),
        ("binary.txt", b"\x89PNG\0\0\0", "a binary file and not text"),
        ("empty.csv", b"", "the file is empty"),
        ("table.csv", b"a,b\nx,y\n", "which of a, b is the text? rename it to text"),
        ("picture.png", b"x", "not a file of a known kind"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path, cache, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(corpora.CorpusError) as caught:
        corpora.sentences(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)
    assert issubclass(corpora.CorpusError, ValueError)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(corpora.CorpusError, match=r"folder\.txt: cannot be read \("):
        corpora.sentences(tmp_path)


def test_a_folder_without_text_is_refused(tmp_path):
    with pytest.raises(corpora.CorpusError, match=r"holds no \.txt file"):
        corpora.sentences(tmp_path)


# Fingerprints


def test_the_fingerprint_of_text_follows_its_content_and_name(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("One.")
    first = corpora.fingerprint(path)
    assert len(first) == 64
    assert corpora.fingerprint(str(path)) == first == corpora.fingerprint(tmp_path)
    path.write_text("Two.")
    assert corpora.fingerprint(path) != first
    path.write_text("One.")
    assert corpora.fingerprint(path.rename(tmp_path / "b.txt")) != first


def test_the_file_of_pydocs_follows_versions_but_not_builds(monkeypatch):
    versions = {"torch": "2.13.0"}
    monkeypatch.setattr(corpora.metadata, "version", lambda name: versions.get(name, "1.0"))
    first = corpora._cache_file("pydocs", "pydocs")
    versions["torch"] = "2.13.0+cpu"
    assert corpora._cache_file("pydocs", "pydocs") == first
    versions["torch"] = "2.13.1"
    assert corpora._cache_file("pydocs", "pydocs") != first


def test_the_fingerprint_of_pydocs_is_that_of_its_sentences_whatever_code_has_read_them(library, cache, monkeypatch):
    first = corpora.fingerprint()
    assert (corpora.fingerprint(), corpora.is_cached("pydocs")) == (first, True)
    monkeypatch.setattr(corpora, "_code_digest", lambda *more: "other")
    assert not corpora.is_cached("pydocs")
    assert corpora.fingerprint() == first
    monkeypatch.setattr(corpora, "_code_digest", lambda *more: "one that reads otherwise")
    monkeypatch.setattr(corpora, "split_of", lambda document: "train")
    assert corpora.fingerprint() != first


def test_a_missing_source_has_no_fingerprint():
    with pytest.raises(corpora.CorpusError, match="no such corpus"):
        corpora.fingerprint("no/such/file.txt")


def test_every_shipped_name_is_a_corpus():
    assert corpora.SHIPPED == ("pydocs",)
    assert all(corpora.fingerprint(name) for name in corpora.SHIPPED)


def test_the_choice_of_libraries_is_what_the_corpus_is_made_of():
    assert get_args(corpora.Library) == tuple(corpora.LIBRARIES)
