"""The Hugging Face Hub: names that have the form of a Hub id, the commit behind one, and its files.

`huggingface_hub` fetches the files and keeps them in the cache that all of Hugging Face's libraries share (`HF_HOME`).
What it leaves open is added here: every file comes from one commit and is compared with its digest, a failure is one
sentence, and the Hub's last answer holds where no new one comes. The client is imported inside functions only,
because the command line looks at names.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from largemodels.base.cache import Progress, cache_folder
from largemodels.base.errors import InputError
from largemodels.base.files import read_object, replacing

Kind = Literal["model", "dataset"]
NOUNS = {"model": "model", "dataset": "data set"}

_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}"
_ID = re.compile(
    rf"(?P<repository>(?:{_PART}/)?{_PART})"
    r"(?::(?P<config>[A-Za-z0-9_][A-Za-z0-9_.+-]*))?"
    r"(?:@(?P<revision>[A-Za-z0-9_][A-Za-z0-9_./+-]*))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubError(InputError):
    """Something that the Hub does not have, does not give or did not answer, in one sentence.

    The sentence is made here: a client's own message may quote an address, and an address may hold a password.
    """


class Unreachable(HubError):
    """The Hub does not answer."""


@dataclass(frozen=True)
class HubId:
    """A Hub id in its parts: `repository[:config][@revision]`."""

    repository: str
    config: str | None = None
    revision: str | None = None

    def __str__(self) -> str:
        return self.unpinned + (f"@{self.revision}" if self.revision else "")

    @property
    def unpinned(self) -> str:
        """The id without its revision."""
        return self.repository + (f":{self.config}" if self.config else "")

    def at(self, commit: str) -> HubId:
        """The same id with a commit for its revision."""
        return HubId(self.repository, self.config, commit)


def parse(text: str) -> HubId | None:
    """The parts of a text that has the form of a Hub id, and None for any other; the Hub is not asked.

    Examples:
        >>> parse("nyu-mll/glue:sst2@main")
        HubId(repository='nyu-mll/glue', config='sst2', revision='main')
        >>> parse("./reviews.csv") is None
        True
    """
    match = _ID.fullmatch(text)
    if not match or any(bad in match["repository"] for bad in ("..", "--")) or ".." in (match["revision"] or ""):
        return None
    if any(part.endswith((".", "-")) for part in match["repository"].split("/")):
        return None
    return HubId(**match.groupdict())


def commit_of(kind: Kind, hub_id: HubId) -> str:
    """The commit (40 hexadecimal digits) that an id stands for; a `HubError` for an unknown id or revision.

    A revision that is a commit stands for itself. Otherwise the Hub is asked, once in a process, so that one process
    sees one commit; where it cannot be reached, the answer it gave last time still holds.
    """
    revision = hub_id.revision or "main"
    return revision if _COMMIT.fullmatch(revision) else _description(kind, hub_id.repository, revision)["commit"]


def files(kind: Kind, hub_id: HubId) -> dict[str, int]:
    """The sizes in bytes of a repository's files, by their paths in it, at the commit that the id stands for."""
    return _description(kind, hub_id.repository, commit_of(kind, hub_id))["sizes"]


def download(kind: Kind, hub_id: HubId, names: Sequence[str], progress: Progress | None = None) -> dict[str, Path]:
    """The local paths of these files of a repository, by their names, each compared with its digest.

    What lies in the cache is read from there without a question to the Hub. `progress` is told the bytes done and in
    all, while they come and at the end.

    Raises:
        HubError: for a file that is not given out, does not arrive, or arrives damaged; a damaged one does not stay.
    """
    from huggingface_hub import hf_hub_download

    commit = commit_of(kind, hub_id)
    description = _description(kind, hub_id.repository, commit)
    sizes, digests = description["sizes"], description["digests"]
    total, done, paths = sum(sizes[name] for name in names), 0, {}
    for name in names:
        bar = _progress_bar(progress, done, total, f"downloading {hub_id.unpinned}")
        with _sentences(kind, hub_id, name):
            path = hf_hub_download(hub_id.repository, name, repo_type=kind, revision=commit, tqdm_class=bar)
        paths[name] = Path(path)
        _check(f"{hub_id.unpinned}: {name}", paths[name], digests.get(name))
        done += sizes[name]
    if progress:
        progress(total, total, f"downloading {hub_id.unpinned}", unit="bytes")
    return paths


def _progress_bar(progress: Progress | None, done: int, total: int, what: str) -> type:
    """A class for the client to count a file's bytes with: it draws nothing and tells `progress`."""
    from huggingface_hub.utils import tqdm

    class ProgressBar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})
            self.update(0)

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if progress:
                progress(min(done + int(self.n), total), total, what, unit="bytes")

        def update_transfer(self, *args: Any, **options: Any) -> None:
            """Bytes that came and are not written yet; `update` counts them once they are. Nor is their speed told."""

        set_transfer_postfix_str = update_transfer

    return ProgressBar


def _check(what: str, path: Path, digest: str | None) -> None:
    """Compare a file with its SHA-256 or git blob id; a wrong one is removed, so that it is fetched again next time.

    An empty note in our cache that is named by the digest, and newer than the file, says that it was right.
    """
    if not digest:
        return
    right = cache_folder() / "hub" / "right" / f"{quote(digest, safe='')}.txt"  # the Hub said it, so it may be anything
    with contextlib.suppress(OSError):
        if right.stat().st_mtime_ns >= path.stat().st_mtime_ns:
            return
    with path.open("rb") as opened:
        git_blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        actual = hashlib.file_digest(opened, hashlib.sha256 if len(digest) == 64 else lambda: git_blob)
    if actual.hexdigest() != digest:
        for place in (path.resolve(), path):
            place.unlink(missing_ok=True)
        raise HubError(f"{what}: arrived damaged (not what the Hub's digest says) and was removed; run it again")
    _write(right, "")


# What the Hub said


@cache
def _description(kind: Kind, repository: str, revision: str) -> dict[str, Any]:
    """A revision's `commit`, and the `sizes` in bytes and the `digests` of its files, by their paths.

    What a commit holds never changes, so the Hub is asked about it once. What another revision stands for it is asked
    in every process, and the last answer holds where none comes.
    """
    from huggingface_hub import HfApi, constants

    noted = _read_note(kind, repository, revision)
    if noted and _COMMIT.fullmatch(revision):
        return noted
    try:
        timeout = constants.HF_HUB_ETAG_TIMEOUT  # the client has none for this question
        with _sentences(kind, HubId(repository, revision=revision)):
            info = HfApi().repo_info(
                repository, repo_type=kind, revision=revision, files_metadata=True, timeout=timeout
            )
    except Unreachable:
        if known := noted or _left_by_another_library(kind, repository, revision):
            return known
        raise
    siblings = info.siblings or ()
    description = {
        "commit": info.sha,
        "sizes": {file.rfilename: file.size or 0 for file in siblings},
        "digests": {file.rfilename: file.lfs.sha256 if file.lfs else file.blob_id for file in siblings},
    }
    for name in {revision, info.sha}:
        _write(_note(kind, repository, name), json.dumps(description))
    return description


def _left_by_another_library(kind: Kind, repository: str, revision: str) -> dict[str, Any]:
    """A description as `_description` has it of what lies in the shared cache; empty where nothing does."""
    from huggingface_hub import errors, snapshot_download

    try:
        folder = Path(snapshot_download(repository, repo_type=kind, revision=revision, local_files_only=True))
    except errors.LocalEntryNotFoundError:
        return {}
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        "commit": folder.name,
        "sizes": {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths},
        "digests": {},  # nothing here tells them
    }


def _note(kind: Kind, repository: str, revision: str) -> Path:
    return cache_folder() / "hub" / f"{kind}s--{repository.replace('/', '--')}" / f"{quote(revision, safe='')}.json"


def _read_note(kind: Kind, repository: str, revision: str) -> dict[str, Any]:
    """The description that was kept of a revision; empty where there is none or it is damaged."""
    try:
        content = read_object(_note(kind, repository, revision), "the note")
    except InputError:
        return {}
    return content if content.keys() == {"commit", "sizes", "digests"} else {}


def _write(path: Path, text: str) -> None:
    """Keep a text in our cache. A cache that cannot be written costs questions and comparisons, and nothing else."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")


# Failures


@contextlib.contextmanager
def _sentences(kind: Kind, hub_id: HubId, file: str | None = None) -> Iterator[None]:
    """Turn what the client raises into one sentence, as `Unreachable` where there was no answer."""
    from huggingface_hub import errors

    try:
        yield
    except Exception as error:  # the client's own, those of its HTTP library, and those of the disk
        cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ else error
        shown = hub_id.unpinned if file or hub_id.revision == "main" else str(hub_id)
        what = shown + (f": {file}" if file else "")
        failure, sentence = _failure(cause, NOUNS[kind], hub_id.revision)
        raise failure(f"{what}: {sentence}") from None


def _failure(cause: BaseException, noun: str, revision: str | None) -> tuple[type[HubError], str]:
    """The kind of a failure; and what the Hub answered, why there was no answer, or what else went wrong."""
    from huggingface_hub import errors

    status = getattr(getattr(cause, "response", None), "status_code", None)
    slow = "Timeout" in type(cause).__name__
    local = "give a shipped name or a local file or folder"
    match cause:
        case errors.OfflineModeIsEnabled():
            return Unreachable, f"not in the cache, and HF_HUB_OFFLINE forbids asking the Hub; unset it, or {local}"
        case _ if status is not None and (status >= 500 or status == 429):
            remedy = "try again later, or give a local file or folder"
            return Unreachable, f"the Hub answered with an error ({status}); {remedy}"
        case _ if slow or (status is None and isinstance(cause, errors.HTTPError)):
            said = "did not answer in time" if slow else "cannot be reached"
            return Unreachable, f"not in the cache, and the Hub {said}; check the network, or {local}"
        case errors.GatedRepoError():
            remedy = "accept them on its page and set HF_TOKEN, or choose another one"
            return HubError, f"the Hub gives this {noun} only to those who accepted its terms; {remedy}"
        case errors.RevisionNotFoundError():
            return HubError, f"the Hub knows this {noun}, but no revision {revision}"
        case errors.RepositoryNotFoundError():
            known = f"a {noun} that the Hub knows (a private one needs HF_TOKEN)"
            return HubError, f"neither an existing file or folder nor {known}; check the spelling"
        case errors.RemoteEntryNotFoundError():
            return HubError, "the Hub lists this file and does not have it; choose another revision"
        case _ if status:
            remedy = "choose another one, or give a local file or folder"
            return HubError, f"the Hub refused with an error ({status}); {remedy}"
        case _ if "Consistency check failed" in str(cause):
            return HubError, "arrived incomplete, and nothing of it is used; run it again"
        case OSError():
            reason = "the disk is full" if cause.errno == errno.ENOSPC else cause.strerror or type(cause).__name__
            return HubError, f"could not be downloaded ({reason})"
    return HubError, f"could not be read from the Hub ({type(cause).__name__})"
