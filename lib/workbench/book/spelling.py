"""Words of the prose that are in no dictionary: misspelt, American, or of the field and not yet in its list.

    python -m workbench.book.spelling

The book is written in British English. The dictionary is `book/spelling/british.txt`, a plain list, so that nothing has
to be installed for it; the field's words stand in `book/words.txt`, one a line. A word of a list that has capitals is
right with these alone, each stands for its plural in -s and its possessive, and one with a hyphen for the whole. Code,
formulas, roles, addresses, names of files, abbreviations in capitals and what holds a digit are not looked at.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from workbench.book.prose import passages, report, texts_of_figure
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.cells import source

DICTIONARY = Path("book", "spelling", "british.txt")
FIELD = Path("book", "words.txt")
_PAGES = ("*.md", "book/**/*.md")
_LETTERS = r"[A-Za-zÀ-ÖØ-öø-ž]"
_COMPOUND = re.compile(rf"{_LETTERS}+(?:['’-]{_LETTERS}+)*")
_NO_WORD = re.compile(r"[\d_@·]|://|\w[.\\]\w")  # SST-2, max_length, the rest of $n$th, addresses, names of files
_ABBREVIATION = re.compile(r"[A-Z]{2,}s?")


class Words:
    """The words that may be written.

    Raises:
        RequestError: for a list that is not there, or whose words are not sorted, or stand in it twice.
    """

    def __init__(self, project: Project) -> None:
        self._known = set(_lines(project.root / DICTIONARY))
        listed = _lines(project.root / FIELD)
        if listed != sorted(set(listed), key=lambda word: (word.lower(), word)):
            raise RequestError(f"{FIELD}: one word a line, each once, in the order of the alphabet")
        if known := [word for word in listed if word in self._known]:
            raise RequestError(f"{FIELD}: {known[0]} is in the dictionary already")
        self._field = set(listed)
        self.unused = set(listed)

    def unknown(self, text: str) -> Iterator[str]:
        """The words of a text that are in no list; those of the field's list count as used."""
        for chunk in re.split(r"[\s—–/]+", text):
            if not _NO_WORD.search(chunk):
                for compound in _COMPOUND.findall(chunk):
                    if not self._has(compound):
                        yield from (part for part in compound.split("-") if not self._has(part))

    def nearest(self, word: str) -> str | None:
        """The known word that is most like this one; none where no word is."""
        same = [known for known in self._known | self._field if known[:1].lower() == word[:1].lower()]
        return next(iter(difflib.get_close_matches(word, same, n=1, cutoff=0.8)), None)

    def _has(self, word: str) -> bool:
        word = word.replace("’", "'")
        word = word.removesuffix("'s").removesuffix("'")
        if len(word) < 2 or _ABBREVIATION.fullmatch(word):
            return True
        small = (word, word[:1].lower() + word[1:], word.lower())
        if not self._known.isdisjoint(small):
            return True
        for form in small:
            for base in (form, form.removesuffix("s")):
                if base in self._field:
                    self.unused.discard(base)
                    return True
        return False


def check(project: Project) -> Iterator[str]:
    """A sentence for each unknown word, at its first place in each file, and for each word of the field not in use.

    Raises:
        RequestError: for lists of words that are not as they should be.
    """
    words = Words(project)
    for path in sorted({page for pattern in _PAGES for page in project.root.glob(pattern)}):
        texts = passages(path.read_text(encoding="utf-8"))
        yield from _sentences(words, path.relative_to(project.root), ((f"line {line}", text) for line, text in texts))
    for path in sorted(project.notebooks.glob("*.ipynb")):
        yield from _sentences(words, path.relative_to(project.root), _of_notebook(path))
    yield from (f"{FIELD}: no text needs {word}" for word in sorted(words.unused))


def _sentences(words: Words, path: Path, texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    said = set()
    for place, text in texts:
        for word in words.unknown(text):
            if word not in said:
                said.add(word)
                meant = words.nearest(word)
                yield f"{path}: {place}: {word} is in no list of words{f'; {meant}?' if meant else ''}"


def _of_notebook(path: Path) -> Iterator[tuple[str, str]]:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for text in [source(cell)] if cell["cell_type"] == "markdown" else texts_of_figure(cell):
            yield from ((f"cell {cell.get('id')}", passage) for _, passage in passages(text))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from None


def main() -> int:
    """Print what is wrong; 1 where something is."""
    return report(check, f"Mend the word, or add it to {FIELD} where the field writes it so.")


if __name__ == "__main__":
    sys.exit(main())
