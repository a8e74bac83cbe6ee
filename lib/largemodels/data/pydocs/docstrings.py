"""The docstrings of installed packages, found and read without importing anything: the sources are parsed with `ast`.

Only the standard library is used, here and beside it, so that worker processes start quickly.
"""

import ast
import importlib.util
import inspect
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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


# Sources


def package_sources(package: str) -> list[tuple[Path, str]]:
    """The Python files of a package, which is located but not imported, with their module names, in order of name.

    Tests, code vendored from other projects and private test support are left out.

    Raises:
        ModuleNotFoundError: if no such package is installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {package} is not installed", name=package)
    sources = [
        (path, _module_name(package, path.relative_to(root)))
        for root in map(Path, spec.submodule_search_locations)
        for path in root.rglob("*.py")
        if _is_own_code(path.relative_to(root))
    ]
    return sorted(sources, key=lambda source: (source[1], source[0]))


def _is_own_code(path: Path) -> bool:
    folders = path.parts[:-1]
    private_tests = folders[:2] == ("testing", "_internal")
    return not (SKIPPED_FOLDERS.intersection(folders) or SKIPPED_FILES.fullmatch(path.name) or private_tests)


def _module_name(package: str, path: Path) -> str:
    parts = [package, *path.with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# Extraction


def read_docstrings(source: bytes, module: str) -> Iterator[Docstring]:
    """The docstrings of one source file in their order, then those passed to NumPy's `add_newdoc` and its like.

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
    """A module's name without its private parts, "numpy.linalg._linalg" as "numpy.linalg".

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
    """Pairs ("", docstring), or (".attribute", docstring) for NumPy's pairs and lists of pairs."""
    match node:
        case ast.List(elements):
            for element in elements:
                yield from _added_texts(element)
        case ast.Tuple([ast.Constant(attribute), described]):
            for _, text in _added_texts(described):
                yield f".{attribute}", text
        case _ if text := _static_text(node):
            yield "", text


def _static_text(node: ast.expr) -> str:
    """What can be known of a string without running anything: of literals, sums, and templates before they are filled.

    Sentences that still hold a placeholder are dropped later.
    """
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.BinOp(left, ast.Add(), right):
            return _static_text(left) + _static_text(right)
        case ast.BinOp(left, ast.Mod()):
            return _static_text(left)
        case ast.Call(ast.Attribute(template, "format" | "replace")):
            return _static_text(template)
    return ""
