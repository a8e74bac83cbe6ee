"""A docstring divided into its sections, and its sentences labelled with them.

The headings of numpydoc (underlined) and of Google's style (`Args:`) say what each piece of text is about;
`largemodels.data.pydocs.prose` then turns the pieces into plain sentences.
"""

import re
from typing import NamedTuple

from largemodels.data.pydocs import prose

# Heading (lower case) to section. The first five sections are labels; text under other headings is kept as
# "attributes", "examples" or "description", and None leaves a section out: lists of names and of literature.
SECTIONS: dict[str, str | None] = {
    **dict.fromkeys(("parameters", "other parameters", "args", "arguments", "params", "inputs"), "parameters"),
    **dict.fromkeys(("keyword args", "keyword arguments", "kwargs", "optional args"), "parameters"),
    **dict.fromkeys(("returns", "return", "yields", "yield", "outputs"), "returns"),
    **dict.fromkeys(("raises", "raise", "warns", "exceptions"), "raises"),
    **dict.fromkeys(("notes", "note", "warnings", "warning", "important", "caution", "tip"), "notes"),
    **dict.fromkeys(("attributes", "attribute"), "attributes"),
    **dict.fromkeys(("examples", "example", "usage", "example usage", "usage example"), "examples"),
    **dict.fromkeys(("see also", "references", "methods", "receives", "shape", "shapes", "todo", "type"), None),
}
ITEMISED = {"parameters", "returns", "raises", "attributes"}


class Sentence(NamedTuple):
    """A sentence, the section it stands in, and its place among all sentences of its docstring, readable or not."""

    text: str
    section: str
    position: int


def labelled_sentences(text: str) -> tuple[str, list[Sentence]]:
    """The style of a docstring ("numpydoc", "google", "sphinx" or, without headings, "plain"), and its sentences.

    The first sentence is the "summary"; "parameters", "returns", "raises" and "notes" follow the headings; what no
    heading of these governs is "description", "attributes" or "examples".
    """
    style, blocks = _parse(text)
    pieces = [
        (sentence, section)
        for section, block in blocks
        for paragraph in prose.paragraphs(block)
        for sentence in prose.split_sentences(paragraph)
    ]
    if pieces and blocks[0][0] == "description":
        pieces[0] = (pieces[0][0], "summary")
    return style, [
        Sentence(sentence, section, position)
        for position, (sentence, section) in enumerate(pieces)
        if prose.is_readable(sentence)
    ]


def _parse(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The style of a docstring and its blocks (section, text), without the names and types of items."""
    lines = _without_signature(text.expandtabs().splitlines())
    if any(_underlined(lines, index) for index in range(len(lines))):
        divided, style = _numpydoc(lines), "numpydoc"
    else:
        divided = _indented(lines)
        headings = {heading for _, heading, _ in divided}
        style = "google" if "google" in headings else "sphinx" if "field" in headings else "plain"
    blocks = []
    for section, heading, body in divided:
        if section is not None:
            items = section in ITEMISED and heading in ("numpydoc", "google")
            body = _items(body, heading == "numpydoc", section) if items else body
            blocks.append((section, "\n".join(body)))
    return style, blocks


SIGNATURE = re.compile(r"[\w.]+\s*\(.*\)(\s*->.*)?", re.DOTALL)


def _without_signature(lines: list[str]) -> list[str]:
    """The lines without leading paragraphs such as `abs(input, *, out=None) -> Tensor`, as compiled functions have."""
    start = 0
    while start < len(lines):
        end = next((i for i in range(start, len(lines)) if not lines[i].strip()), len(lines))
        paragraph = "\n".join(lines[start:end]).strip()
        if paragraph and not SIGNATURE.fullmatch(paragraph):
            break
        start = end + 1
    return lines[start:]


def _underlined(lines: list[str], index: int) -> bool:
    """Whether a numpydoc heading that is in the table stands at this line."""
    return (
        index + 1 < len(lines)
        and lines[index].strip().rstrip(":").lower() in SECTIONS
        and re.fullmatch(r"\s*(-{3,}|={3,}|~{3,})\s*", lines[index + 1]) is not None
    )


def _numpydoc(lines: list[str]) -> list[tuple[str | None, str, list[str]]]:
    """The parts (section, "numpydoc", lines) under underlined headings; those before them as `_indented` has them."""
    starts = [index for index in range(len(lines)) if _underlined(lines, index)]
    divided = _indented(lines[: starts[0]])
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        section = SECTIONS[lines[start].strip().rstrip(":").lower()]
        divided.append((section, "numpydoc", lines[start + 2 : end]))
    return divided


HEADING = re.compile(r"(?P<name>[A-Z][A-Za-z]+(?: [A-Za-z]+)?)\s*::?(?:\s+(?P<rest>\S.*))?")
BARE_ITEM = re.compile(r"\w+ \(`.*\)\s*:")  # Transformers leaves out "Args:" where a decorator writes it
FIELD = re.compile(r":(?P<name>param|parameter|arg|returns?|raises?|type|rtype)\b[^:]*:\s*(?P<rest>.*)")
ADMONITION = re.compile(r"\.\. (?P<name>note|warning|important|caution|tip)::\s*(?P<rest>.*)")
FIELD_SECTIONS = {**dict.fromkeys(("param", "parameter", "arg"), "parameters"), "rtype": None, "type": None}
INLINE = {"returns", "notes", "raises"}  # the sections that may begin on the heading's own line


def _indented(lines: list[str]) -> list[tuple[str | None, str, list[str]]]:
    """The parts under headings whose text is indented: Google's, field lists, and notes as directives.

    Each is (section, "google", "field", "note" or "", lines). A section ends where the indentation does; one that
    began on its heading's line may also go on unindented to the next blank line.
    """
    divided: list[tuple[str | None, str, list[str]]] = [("description", "", [])]
    indent, flowing = -1, False
    for line in lines:
        depth = prose.indentation(line)
        if not line.strip():
            flowing = False
        elif depth <= indent or indent < 0:
            section, heading, rest = _heading(line.strip())
            if heading:
                divided.append((section, heading, [" " * (depth + 4) + rest] if rest else []))
                indent, flowing = depth, bool(rest)
                continue
            if indent >= 0 and not flowing:
                divided.append(("description", "", []))
                indent = -1
        divided[-1][2].append(" " * (indent + 4) + line.strip() if flowing else line)
    return [(section, heading, body) for section, heading, body in divided if any(map(str.strip, body))]


def _heading(line: str) -> tuple[str | None, str, str]:
    """Section, kind of heading and text on the same line; the kind is "" for a line that is no heading."""
    if match := ADMONITION.fullmatch(line):
        return "notes", "note", match["rest"]
    if match := FIELD.fullmatch(line):
        name = match["name"]
        return FIELD_SECTIONS.get(name, SECTIONS.get(name)), "field", match["rest"]
    if BARE_ITEM.fullmatch(line):
        return "parameters", "google", ""
    match = HEADING.fullmatch(line)
    if match and (name := match["name"].lower()) in SECTIONS:
        rest = match["rest"] or ""
        if not rest or SECTIONS[name] in INLINE:
            return SECTIONS[name], "google", rest
    return None, "", ""


# Items: `name : type` above its description (numpydoc), `name (type): description` (Google)

NAMES = r"[*`']*[\w.\-]+[`']*(?:(?:\s*,\s*|\s*/\s*|\s+or\s+)[*`']*[\w.\-]+[`']*)*"
TERM = re.compile(rf"-?\s*{NAMES}\s*(?:\(.*?\))?(?:\s*:|\s+--?)(?:\s+|$)(?P<rest>.*)")
TYPE = r"(?:`[^`]+`|\[`[^`]+`\]|:\w+:`[^`]+`|[\w.]+(?:\[.*?\])?)(?:\s*\([^()]*(?:\([^()]*\)[^()]*)*\))?"
RETURNED = re.compile(rf"(?:{TYPE})(?:(?:\s*,\s*|\s*\|\s*|\s+or\s+|\s+of\s+){TYPE})*\s*:(?:\s+|$)(?P<rest>.*)")


def _items(lines: list[str], numpydoc: bool, section: str) -> list[str]:
    """The descriptions of a section's items, a blank line between them, names and types dropped."""
    output: list[str] = []
    for head, body in _groups(lines):
        if numpydoc:
            kept = head if not body and _is_sentence(head) else []
        else:
            head, body = _close_parentheses(head, body)
            kept = _google_head(head, section)
        output += [*kept, *_dedented(body), ""]
    return output


def _groups(lines: list[str]) -> list[tuple[list[str], list[str]]]:
    """The lines of a section in groups: unindented lines, and the indented lines below them."""
    lines = _dedented(lines)
    groups: list[tuple[list[str], list[str]]] = []
    blank = True
    for line in lines:
        if line.strip() and not line[0].isspace():
            if not groups or groups[-1][1] or blank:
                groups.append(([], []))
            groups[-1][0].append(line)
        elif groups and (line.strip() or groups[-1][1]):
            groups[-1][1].append(line)
        blank = not line.strip()
    return groups


def _google_head(head: list[str], section: str) -> list[str]:
    """The lines without the `name (type):` of those that start an item; lines that do not are its text, going on."""
    kept: list[str] = []
    for line in head:
        pattern = RETURNED if section == "returns" and not line.startswith("-") else TERM
        if match := pattern.fullmatch(line):
            kept += ["", match["rest"]] if match["rest"] else [""]
        else:
            kept.append(line)
    return kept


def _close_parentheses(head: list[str], body: list[str]) -> tuple[list[str], list[str]]:
    """Head and body with a type that is wrapped, `x (int,` above `optional): text`, on one line of the head."""
    body = list(body)
    last = head[-1]
    while last.count("(") > last.count(")") and body and body[0].strip() and len(last) < 400:
        last = f"{last} {body.pop(0).strip()}"
    return [*head[:-1], last], body


def _is_sentence(lines: list[str]) -> bool:
    """Whether lines at the margin of a numpydoc list are prose ("The fitted model.") and not the names of items."""
    text = " ".join(lines)
    return text.endswith((".", "!", "?")) and " : " not in text and len(text.split()) >= prose.MIN_WORDS


def _dedented(lines: list[str]) -> list[str]:
    depth = min((prose.indentation(line) for line in lines if line.strip()), default=0)
    return [line[depth:] for line in lines]
