"""The one door to the Hugging Face Hub: names that have the form of a Hub id, the commit behind one, and its files.

Every file comes from one commit and is held to the digest that the Hub gives for it; what was read once can be read
again with no network. `largemodels.data.sources` gets data through here and `largemodels.models.checkpoints` weights.
Only `huggingface_hub` is used, and only inside functions, because the command line looks at names.
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
from largemodels.base.files import replacing

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

    The sentence is made here, from the id and the kind of failure: a client's own message may quote an address, and
    an address may hold a password.
    """


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
        """Return the same id with a commit for its revision."""
        return HubId(self.repository, self.config, commit)


@dataclass(frozen=True)
class HubFile:
    """What the Hub says of a file: its size in bytes, and its SHA-256 (64 digits) or its git blob id (40)."""

    size: int | None
    digest: str | None


def parse(text: str) -> HubId | None:
    """Return the parts of a text that has the form of a Hub id, and None for any other; nobody is asked."""
    match = _ID.fullmatch(text)
    if not match or any(bad in match["repository"] for bad in ("..", "--")) or ".." in (match["revision"] or ""):
        return None
    if any(part.endswith((".", "-")) for part in match["repository"].split("/")):
        return None
    return HubId(**match.groupdict())


def commit_of(kind: Kind, hub_id: HubId) -> str:
    """Return the commit (40 hexadecimal digits) that an id stands for.

    A revision that is a commit stands for itself. Otherwise the Hub is asked, once in a process, so that one process
    sees one commit; where it cannot be reached, the answer it gave last time still holds.

    Raises:
        HubError: for an unknown id or revision, or where the Hub cannot be reached and was never asked before.
    """
    revision = hub_id.revision or "main"
    if _COMMIT.fullmatch(revision):
        return revision
    return _commit_of(kind, hub_id.repository, revision)


def files(kind: Kind, hub_id: HubId) -> dict[str, HubFile]:
    """Return the files of a repository by their paths in it, at the commit that the id stands for.

    Raises:
        HubError: as `commit_of`.
    """
    return _files(kind, hub_id.repository, commit_of(kind, hub_id))


def download(kind: Kind, hub_id: HubId, names: Sequence[str], progress: Progress | None = None) -> dict[str, Path]:
    """Return local paths of these files of a repository, by their names, each checked against its digest.

    They lie in the cache that all of Hugging Face's libraries share (`HF_HOME`). What was checked once is read from
    there without a question to the Hub.

    Args:
        kind: "model" or "dataset".
        hub_id: the repository.
        names: paths in the repository, out of `files`.
        progress: called with the bytes done, the bytes in all, and what is going on, before each file and at the end.

    Raises:
        HubError: for a file that is not given out, does not arrive, or arrives damaged; a damaged one does not stay.
    """
    commit = commit_of(kind, hub_id)
    known, checked = files(kind, hub_id), _read_note(_checked_note(kind, hub_id.repository, commit))
    total, done, paths = sum(known[name].size or 0 for name in names), 0, {}
    for name in names:
        path = _in_cache(kind, hub_id.repository, commit, name)
        if path is None or checked.get(name) != path.stat().st_size:
            if progress:
                progress(done, total, f"downloading {hub_id.unpinned}", unit="bytes")
            path = _fetch(kind, hub_id, commit, name)
            _check(hub_id, name, path, known[name])
            checked |= {name: path.stat().st_size}
            _write_note(_checked_note(kind, hub_id.repository, commit), checked)
        done += known[name].size or 0
        paths[name] = path
    if progress:
        progress(total, total, f"downloading {hub_id.unpinned}", unit="bytes")
    return paths


# Questions to the Hub


@cache
def _commit_of(kind: Kind, repository: str, revision: str) -> str:
    note = _note(kind, repository, f"ref-{quote(revision, safe='')}")
    try:
        info = _ask(kind, HubId(repository, revision=revision))
    except _Unreachable as error:
        known = _read_note(note).get("commit") or _client_ref(kind, repository, revision)
        if known is None:
            raise HubError(str(error)) from None
        return known
    _write_note(note, {"commit": info.sha})
    _write_note(_note(kind, repository, f"files-{info.sha}"), _listing(info))
    return info.sha


@cache
def _files(kind: Kind, repository: str, commit: str) -> dict[str, HubFile]:
    note = _note(kind, repository, f"files-{commit}")
    listing = _read_note(note)
    if not listing:
        try:
            listing = _listing(_ask(kind, HubId(repository, revision=commit)))
            _write_note(note, listing)
        except _Unreachable as error:
            listing = _client_files(kind, repository, commit)
            if not listing:
                raise HubError(str(error)) from None
    return {name: HubFile(*facts) for name, facts in listing.items()}


def _ask(kind: Kind, hub_id: HubId) -> Any:
    """Return what the Hub's API says of a repository: its commit and its files."""
    from huggingface_hub import HfApi, constants

    with _sentences(kind, hub_id):
        return HfApi().repo_info(
            hub_id.repository,
            repo_type=kind,
            revision=hub_id.revision,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )


def _listing(info: Any) -> dict[str, list]:
    return {file.rfilename: [file.size, file.lfs.sha256 if file.lfs else file.blob_id] for file in info.siblings or ()}


def _fetch(kind: Kind, hub_id: HubId, commit: str, name: str) -> Path:
    """Return the path of a file in the shared cache, downloaded if it is not there."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    silent = are_progress_bars_disabled()
    disable_progress_bars()  # progress is told by whoever called
    try:
        with _sentences(kind, hub_id, name):
            return Path(hf_hub_download(hub_id.repository, name, repo_type=kind, revision=commit))
    finally:
        if not silent:
            enable_progress_bars()


class _Unreachable(Exception):
    """The Hub does not answer; what it said before may do."""


@contextlib.contextmanager
def _sentences(kind: Kind, hub_id: HubId, file: str | None = None) -> Iterator[None]:
    """Turn what the client raises into one sentence.

    A question that finds nobody raises `_Unreachable`, because an earlier answer may do; a file has no second source.
    """
    from huggingface_hub import errors

    try:
        yield
    except Exception as error:  # the client's own, those of its HTTP library, and those of the disk
        cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ else error
        shown = hub_id.unpinned if file or hub_id.revision == "main" else str(hub_id)
        what = shown + (f": {file}" if file else "")
        if refusal := _refusal(cause, NOUNS[kind], hub_id.revision):
            raise HubError(f"{what}: {refusal}") from None
        if silence := _silence(cause):
            raise (HubError if file else _Unreachable)(f"{what}: {silence}") from None
        raise HubError(f"{what}: {_failure(cause)}") from None


def _refusal(cause: BaseException, noun: str, revision: str | None) -> str | None:
    """Return what the Hub answered, where its answer was no."""
    from huggingface_hub import errors

    if isinstance(cause, errors.GatedRepoError):
        return (
            f"the Hub gives this {noun} only to those who accepted its terms; accept them on its page and set "
            "HF_TOKEN, or choose another one"
        )
    if isinstance(cause, errors.RevisionNotFoundError):
        return f"the Hub knows this {noun}, but no revision {revision}"
    if isinstance(cause, errors.RepositoryNotFoundError):
        return (
            f"neither an existing file or folder nor a {noun} that the Hub knows (a private one needs HF_TOKEN); "
            "check the spelling"
        )
    if isinstance(cause, errors.RemoteEntryNotFoundError):
        return "the Hub lists this file and does not have it; choose another revision"
    status = _status(cause)
    if status is not None and status < 500 and status != 429:
        return f"the Hub refused with an error ({status}); choose another one, or give a local file or folder"
    return None


def _silence(cause: BaseException) -> str | None:
    """Return why there was no answer, and what to do, where that is what happened."""
    from huggingface_hub import errors

    if isinstance(cause, errors.OfflineModeIsEnabled):
        return (
            "not in the cache, and HF_HUB_OFFLINE forbids asking the Hub; unset it, or give a shipped name or a local "
            "file or folder"
        )
    if status := _status(cause):
        return f"the Hub answered with an error ({status}); try again later, or give a local file or folder"
    slow = "Timeout" in type(cause).__name__
    if slow or isinstance(cause, errors.HTTPError):
        said = "did not answer in time" if slow else "cannot be reached"
        return (
            f"not in the cache, and the Hub {said}; check the network, or give a shipped name or a local file or folder"
        )
    return None


def _failure(cause: BaseException) -> str:
    """Return what else went wrong."""
    if "Consistency check failed" in str(cause):
        return "arrived incomplete, and nothing of it is used; run it again"
    if isinstance(cause, OSError):
        reason = "the disk is full" if cause.errno == errno.ENOSPC else cause.strerror or type(cause).__name__
        return f"could not be downloaded ({reason})"
    return f"could not be read from the Hub ({type(cause).__name__})"


def _status(cause: BaseException) -> int | None:
    return getattr(getattr(cause, "response", None), "status_code", None)


def _check(hub_id: HubId, name: str, path: Path, file: HubFile) -> None:
    """Hold a file to its size and digest; a wrong one is removed, so that the next attempt fetches it anew."""
    content_digest = None
    if file.digest:
        lfs = len(file.digest) == 64
        digest = hashlib.sha256() if lfs else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
        with path.open("rb") as opened:
            while block := opened.read(2**20):
                digest.update(block)
        content_digest = digest.hexdigest()
    if content_digest != file.digest or (file.size is not None and path.stat().st_size != file.size):
        for place in {path, path.resolve()}:
            place.unlink(missing_ok=True)
        raise HubError(
            f"{hub_id.unpinned}: {name}: arrived damaged (not what the Hub's digest says) and was removed; run it again"
        )


# What is known without asking: our own notes, and the shared cache of Hugging Face's libraries


def _note(kind: Kind, repository: str, name: str) -> Path:
    return cache_folder() / "hub" / f"{kind}s--{repository.replace('/', '--')}" / f"{name}.json"


def _checked_note(kind: Kind, repository: str, commit: str) -> Path:
    return _note(kind, repository, f"checked-{commit}")


def _read_note(path: Path) -> dict[str, Any]:
    """Return what a note says; nothing where it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_note(path: Path, content: dict[str, Any]) -> None:
    """Keep a note by temporary file and rename. A cache that cannot be written only costs questions."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(json.dumps(content), encoding="utf-8")


def _in_cache(kind: Kind, repository: str, commit: str, name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, name, revision=commit, repo_type=kind)
    return Path(found) if isinstance(found, str) else None


def _client_folder(kind: Kind, repository: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type=kind)


def _client_ref(kind: Kind, repository: str, revision: str) -> str | None:
    """Return the commit that another library's download left for a revision."""
    try:
        commit = (_client_folder(kind, repository) / "refs" / revision).read_text().strip()
    except OSError:
        return None
    return commit if _COMMIT.fullmatch(commit) else None


def _client_files(kind: Kind, repository: str, commit: str) -> dict[str, list]:
    """Return the files that another library's download left of a commit; their digests are not known here."""
    folder = _client_folder(kind, repository) / "snapshots" / commit
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): [path.stat().st_size, None] for path in found}
