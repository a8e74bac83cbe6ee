"""The bytes of a file that may be compressed, and its text: what its suffix and its first bytes say.

A file of a few kilobytes can unpack to terabytes, so that no more than `MOST` bytes are taken out of one.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zipfile
import zlib
from pathlib import Path

from largemodels.base.errors import InputError, few
from largemodels.base.files import reading

MOST = 2**29
"""Bytes that are unpacked from one file."""
PACKED = (".gz", ".bz2", ".xz", ".zip")
"""What the name of a compressed file ends with."""
_OPEN = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
_MARKS = {  # a mark of UTF-32 begins with one of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def unpacked_name(name: str) -> str:
    """A file's name without the suffix of its compression."""
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and dot + suffix.lower() in PACKED else name


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked where its suffix says that it is compressed.

    Raises:
        InputError: for what cannot be read or is damaged, an archive of several files, or more than `MOST` bytes.
    """
    suffix = path.suffix.lower()
    with reading(f"{path}:"):
        if suffix not in PACKED:
            return path.read_bytes()
        try:
            if suffix == ".zip":
                with zipfile.ZipFile(path) as archive, archive.open(archived(path, archive)) as file:
                    content = file.read(MOST + 1)
            else:
                with _OPEN[suffix](path) as file:
                    content = file.read(MOST + 1)
        except _DAMAGED as error:
            locked = isinstance(error, RuntimeError) and "password" in str(error)
            said = "it has a password" if locked else f"damaged, or no {suffix} file"
            raise InputError(f"{path}: cannot be unpacked ({said})") from None
    if len(content) > MOST:
        raise InputError(f"{path}: holds more than {MOST // 2**20} MiB; unpack it, and give the file that was in it")
    return content


def archived(path: Path, archive: zipfile.ZipFile) -> str:
    """The name of the one file in a ZIP archive, apart from what macOS adds to those that it makes."""
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise InputError(f"{path}: holds {len(names)} files ({few(names)}) and not one; unpack it, and give a folder")
    return names[0]


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 where its first bytes say so; see `read_bytes`.

    Raises:
        InputError: for one that is binary or in another encoding, too.
    """
    content = read_bytes(path)
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\0" in content[:4096]:
            raise _binary(path) from None
        said = f"not {encoding.removesuffix('-sig').upper()} text (byte {error.start})"
        raise InputError(f"{path}: {said}; save it as UTF-8, as iconv -f WINDOWS-1252 -t UTF-8 does") from None
    if "\0" in text:
        raise _binary(path)
    return text


def _binary(path: Path) -> InputError:
    return InputError(
        f"{path}: a binary file and not text, whatever its name says (or UTF-16 without its mark: save it as UTF-8)"
    )
