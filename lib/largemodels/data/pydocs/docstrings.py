"""Docstrings of installed packages: found, read and divided into their sections, without importing anything.

The sources are parsed with `ast`. The headings of numpydoc (underlined) and of Google's style (`Args:`) say what each
piece of text is about; `largemodels.data.pydocs.prose` then turns the pieces into plain sentences. Only the standard
library is used, so that worker processes start quickly.
"""

import ast
import importlib.util
import inspect
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
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

SKIPPED_FOLDERS = {
    *("tests", "test", "_vendor", "_vendored", "vendor", "vendored", "external", "externals", "_external"),
    *("extern", "third_party", "include", "src"),
    *("array_api_compat", "array_api_extra", "cobyqa", "pyprima", "_uarray", "multipledispatch", "hipify"),
}
SKIPPED_FILES = re.compile(r"(conftest|setup|_appdirs|_docscrape|test_\w+|\w+_test)\.py")
GENERATED = re.compile(rb"^#.*(automatically generated|auto-?generated|@generated)", re.MULTILINE | re.IGNORECASE)
# Looked for before any parsing, because most files have no such call.
ADDED = re.compile(rb"\badd_(newdoc|docstr)|_add_docstr")


class Docstring(NamedTuple):
    """The qualified name of a documented object and its text, with the common indentation removed."""

    name: str
    text: str


class Sentence(NamedTuple):
    """A sentence, the section it stands in, and its place among all sentences of its docstring, readable or not."""

    text: str
    section: str
    position: int


class Block(NamedTuple):
    """A stretch of a docstring that one heading governs."""

    section: str
    text: str


# Sources


def package_roots(package: str) -> list[Path]:
    """Return the folders of an installed package, which is located but not imported.

    Raises:
        ModuleNotFoundError: if no such package is installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {package} is not installed", name=package)
    return sorted(Path(location) for location in spec.submodule_search_locations)


def package_sources(package: str) -> list[tuple[Path, str]]:
    """Return the Python files of a package with their module names, in order of name.

    Tests, code vendored from other projects and private test support are left out.
    """
    sources = [
        (path, module_name(package, path.relative_to(root)))
        for root in package_roots(package)
        for path in root.rglob("*.py")
        if _is_own_code(path.relative_to(root))
    ]
    return sorted(sources, key=lambda source: (source[1], source[0]))


def _is_own_code(path: Path) -> bool:
    folders = path.parts[:-1]
    private_tests = folders[:2] == ("testing", "_internal")
    return not (SKIPPED_FOLDERS.intersection(folders) or SKIPPED_FILES.fullmatch(path.name) or private_tests)


def module_name(package: str, path: Path) -> str:
    """Return the dotted name of the file at `path`, relative to the folder of its package."""
    parts = [package, *path.with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# Extraction


def read_docstrings(source: bytes, module: str) -> Iterator[Docstring]:
    """Yield the docstrings of one source file in their order: module, classes, functions and methods.

    Those given as strings to NumPy's `add_newdoc` and PyTorch's `add_docstr` follow.
    Generated files yield nothing, nor do files that this version of Python cannot parse.
    """
    if GENERATED.search(source[:2000]):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    if text := ast.get_docstring(tree):
        yield Docstring(module, text)
    yield from _definitions(tree, public_name(module))
    if ADDED.search(source):
        yield from _added(tree, public_name(module))


def _definitions(node: ast.AST, scope: str) -> Iterator[Docstring]:
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):  # the fields that hold statements
        for child in getattr(node, field, ()):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{scope}.{child.name}"
                if text := ast.get_docstring(child):
                    yield Docstring(name, text)
                yield from _definitions(child, name)
            else:
                yield from _definitions(child, scope)


def public_name(module: str) -> str:
    """Return a module's name without its private parts, "numpy.linalg._linalg" as "numpy.linalg".

    Where a public function is implemented changes from version to version; the name it is used by hardly does.
    """
    first, *rest = module.split(".")
    return ".".join([first, *(part for part in rest if not part.startswith("_"))])


def _added(tree: ast.Module, scope: str) -> Iterator[Docstring]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) >= 2:
            function = ast.unparse(node.func).rpartition(".")[2]
            if re.fullmatch(r"_?add_(newdoc|docstr)\w*", function):
                name = _added_name(function, node.args, scope)
                for suffix, text in _added_texts(node.args[-1]):
                    yield Docstring(name + suffix, inspect.cleandoc(text))


def _added_name(function: str, arguments: list[ast.expr], scope: str) -> str:
    names = [argument.value if isinstance(argument, ast.Constant) else None for argument in arguments[:-1]]
    if function == "add_newdoc" and len(names) == 2:  # NumPy: (module, object, docstring)
        return f"{public_name(str(names[0]))}.{names[1]}"
    if function == "add_docstr_all":  # PyTorch: (method of Tensor, docstring)
        return f"torch.Tensor.{names[0]}"
    if isinstance(names[0], str):  # (object, docstring)
        return f"{scope}.{names[0]}"
    return public_name(ast.unparse(arguments[0]))


def _added_texts(node: ast.expr) -> Iterator[tuple[str, str]]:
    """Yield ("", docstring), or (".attribute", docstring) for NumPy's pairs and lists of pairs."""
    if isinstance(node, ast.List):
        for element in node.elts:
            yield from _added_texts(element)
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.elts[0], ast.Constant):
        for _, text in _added_texts(node.elts[1]):
            yield f".{node.elts[0].value}", text
    elif text := static_text(node):
        yield "", text


def static_text(node: ast.expr) -> str | None:
    """Return what can be known of a string without running anything, or None.

    Literals, their sums, and templates before `format`, `replace` or `%` fills them; sentences that still hold
    a placeholder are dropped later.
    """
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [static_text(node.left), static_text(node.right)]
        return "".join(part for part in parts if part) or None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return static_text(node.left)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return static_text(node.func.value) if node.func.attr in ("format", "replace") else None
    return None


# Sections


def labelled_sentences(text: str) -> tuple[str, list[Sentence]]:
    """Return the style of a docstring and its readable sentences in order.

    The style is "numpydoc", "google", "sphinx" (field lists) or, without any heading, "plain". The first
    sentence is the "summary"; "parameters", "returns", "raises" and "notes" follow the headings; what no
    heading of these governs is "description", "attributes" or "examples".
    """
    style, blocks = parse(text)
    pieces = [
        (sentence, section)
        for section, block in blocks
        for paragraph in prose.paragraphs(block)
        for sentence in prose.split_sentences(paragraph)
    ]
    if pieces and blocks[0].section == "description":
        pieces[0] = (pieces[0][0], "summary")
    return style, [
        Sentence(sentence, section, position)
        for position, (sentence, section) in enumerate(pieces)
        if prose.is_readable(sentence)
    ]


def parse(text: str) -> tuple[str, list[Block]]:
    """Return the style of a docstring and its blocks, in order, with the names and types of items removed."""
    lines = _without_signature(text.expandtabs().splitlines())
    if any(_underlined(lines, index) for index in range(len(lines))):
        divided = _numpydoc(lines)
        style = "numpydoc"
    else:
        divided = _indented(lines)
        style = "plain"
        if any(heading == "field" for _, heading, _ in divided):
            style = "sphinx"
        if any(heading == "google" for _, heading, _ in divided):
            style = "google"
    blocks = []
    for section, heading, body in divided:
        if section is not None:
            items = section in ITEMISED and heading in ("numpydoc", "google")
            body = _items(body, heading == "numpydoc", section) if items else body
            blocks.append(Block(section, "\n".join(body)))
    return style, blocks


SIGNATURE = re.compile(r"[\w.]+\s*\(.*\)(\s*->.*)?", re.DOTALL)


def _without_signature(lines: list[str]) -> list[str]:
    """Drop leading paragraphs such as `abs(input, *, out=None) -> Tensor`, which compiled functions start with."""
    start = 0
    while start < len(lines):
        end = next((i for i in range(start, len(lines)) if not lines[i].strip()), len(lines))
        paragraph = "\n".join(lines[start:end]).strip()
        if paragraph and not SIGNATURE.fullmatch(paragraph):
            break
        start = end + 1
    return lines[start:]


def _underlined(lines: list[str], index: int) -> bool:
    """Say whether a numpydoc heading that is in the table stands at this line."""
    return (
        index + 1 < len(lines)
        and lines[index].strip().rstrip(":").lower() in SECTIONS
        and re.fullmatch(r"\s*(-{3,}|={3,}|~{3,})\s*", lines[index + 1]) is not None
    )


def _numpydoc(lines: list[str]) -> list[tuple[str | None, str, list[str]]]:
    """Divide at underlined headings into (section, "numpydoc", lines); the text before them as `_indented` does."""
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
FIELD_SECTIONS = {
    "param": "parameters",
    "parameter": "parameters",
    "arg": "parameters",
    "rtype": None,
    "type": None,
}
INLINE = {"returns", "notes", "raises"}  # the sections that may begin on the heading's own line


def _indented(lines: list[str]) -> list[tuple[str | None, str, list[str]]]:
    """Divide at headings whose text is indented below them: Google's, field lists, and notes as directives.

    Returns (section, "google", "field", "note" or "", lines). A section ends where the indentation does; one that
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
    """Return (section, kind of heading, text on the same line), with kind "" for a line that is no heading."""
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
    """Return the descriptions of a section's items, a blank line between them, names and types dropped."""
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
    """Group the lines of a section into (unindented lines, the indented lines below them)."""
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
    """Strip `name (type):` from the lines that start an item; lines that do not are its text, going on."""
    kept: list[str] = []
    for line in head:
        pattern = RETURNED if section == "returns" and not line.startswith("-") else TERM
        if match := pattern.fullmatch(line):
            kept += ["", match["rest"]] if match["rest"] else [""]
        else:
            kept.append(line)
    return kept


def _close_parentheses(head: list[str], body: list[str]) -> tuple[list[str], list[str]]:
    """Join the lines of a type that is wrapped: `x (int,` above `optional): text`."""
    body = list(body)
    last = head[-1]
    while last.count("(") > last.count(")") and body and body[0].strip() and len(last) < 400:
        last = f"{last} {body.pop(0).strip()}"
    return [*head[:-1], last], body


def _is_sentence(lines: list[str]) -> bool:
    """Tell prose at the margin of a numpydoc list ("The fitted model.") from the names of items."""
    text = " ".join(lines)
    return text.endswith((".", "!", "?")) and " : " not in text and len(text.split()) >= prose.MIN_WORDS


def _dedented(lines: list[str]) -> list[str]:
    depth = min((prose.indentation(line) for line in lines if line.strip()), default=0)
    return [line[depth:] for line in lines]
