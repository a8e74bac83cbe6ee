"""The contract of a chapter: what its parameters cell declares, and whether a request keeps to it.

The notebook is read as JSON and its cells with `ast` and `symtable`; nothing of it is executed. A chapter that breaks
the rules below is refused like any bad request:

- exactly one cell is tagged `parameters`;
- that cell imports types from `workbench.types`, `typing` or the subject's library (`workbench.parameters.annotations`)
  and annotates literals, each of which fits its annotation;
- no other cell binds a parameter's name again, and some other cell reads it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import symtable
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.code import parse
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.core.secrets import refuse_secret
from workbench.core.text import nearest, nearest_or_all, shown
from workbench.parameters.annotations import SUBJECT, is_type, named_type, with_named_types
from workbench.parameters.types import VOCABULARY, coerce, plain, resolved

LARGEST = 2**20
"""Bytes of a request's values in all, and of a file that holds some."""
_MOST_MISTAKES = 20  # unknown names that are said one by one


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell."""

    name: str
    type_text: str
    annotation: Any
    default: Any
    comment: str


@dataclass(frozen=True)
class Contract:
    """A chapter's source and its parameters."""

    chapter: str
    path: Path
    notebook: dict[str, Any]
    parameters: dict[str, Parameter]

    def resolve(self, request: dict[str, Any]) -> dict[str, Any]:
        """Every parameter's value for a request: those it names coerced, the others' defaults, paths absolute.

        Raises:
            RequestError: one sentence for each name or value that does not fit.
        """
        values, mistakes = {}, []
        unknown = sorted(request.keys() - self.parameters.keys())
        for name in unknown[:_MOST_MISTAKES]:
            mistakes.append(f"{self.chapter} has no parameter {shown(name)}{nearest(name, self.parameters)}")
        if more := unknown[_MOST_MISTAKES:]:
            mistakes.append(f"{self.chapter} has none of {len(more):,} more names either")
        for name, parameter in self.parameters.items():
            try:
                if name in request and _is_empty(request[name]):
                    raise ValueError("the value is empty")
                if name in request:  # a default stands in the notebook and is no secret
                    refuse_secret(request[name])
                values[name] = resolved(coerce(parameter.annotation, request.get(name, parameter.default)))
                if name in request:
                    refuse_secret(plain(values[name]))  # a local path has more to it now
            except ValueError as mistake:
                mistakes.append(f"{name}: {mistake}")
        size = len(json.dumps({name: plain(value) for name, value in values.items()}, ensure_ascii=False))
        if size > LARGEST:
            mistakes.append(f"the values take {size / 2**20:.0f} MiB, and {LARGEST // 2**20} MiB is the most in all")
        if mistakes:
            raise RequestError(*mistakes)
        return values

    @property
    def code_cells(self) -> list[dict[str, Any]]:
        """The cells that run, in order, without what Papermill injected into a notebook that was executed."""
        cells = [cell for cell in self.notebook["cells"] if cell["cell_type"] == "code"]
        return [cell for cell in cells if "injected-parameters" not in tags(cell)]

    @property
    def defaults(self) -> dict[str, Any]:
        """The parameters' defaults, as JSON has them."""
        return {name: plain(parameter.default) for name, parameter in self.parameters.items()}

    @property
    def headline(self) -> tuple[str, ...]:
        """The metrics that the chapter names as `begin(headline=["accuracy"])`; none where that is no literal list."""
        cells = [python_of(cell) for cell in self.code_cells if "headline" in source(cell)]
        calls = [node for code in cells for node in ast.walk(parse(code)) if isinstance(node, ast.Call)]
        begins = [call for call in calls if ast.unparse(call.func).split(".")[-1] == "begin"]
        named = [keyword.value for call in begins for keyword in call.keywords if keyword.arg == "headline"]
        with contextlib.suppress(IndexError, TypeError, ValueError):
            return tuple(map(str, ast.literal_eval(named[0])))
        return ()


def load_contract(project: Project, chapter: str) -> Contract:
    """The contract of a chapter by name.

    Raises:
        RequestError: for an unknown chapter, a damaged notebook, or a chapter that breaks the contract's rules.
    """
    if chapter not in project.chapters():
        raise RequestError(f"no chapter {shown(chapter)}{nearest_or_all(Path(chapter).stem, project.chapters())}")
    return read_contract(project.notebooks / f"{chapter}.ipynb")


def read_contract(path: Path) -> Contract:
    """The contract of a notebook file; see `load_contract`."""
    try:
        notebook = _read_notebook(path)
        contract = Contract(path.stem, path, notebook, _parameters(notebook))
        mistakes = list(_misuse(contract))
    except ValueError as mistake:
        mistakes = [str(mistake)]
    if mistakes:
        raise RequestError(*(f"{path.name}: {mistake}" for mistake in mistakes))
    return contract


def tags(cell: dict[str, Any]) -> list[str]:
    """A cell's tags."""
    return cell.get("metadata", {}).get("tags", [])


def source(cell: dict[str, Any]) -> str:
    """A cell's text; the file format allows a list of lines."""
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def python_of(cell: dict[str, Any]) -> str:
    """A cell's code as plain Python: lines of IPython magic and shell are blanked, a cell magic blanks the cell."""
    text = source(cell)
    if text.lstrip().startswith("%%"):
        return ""
    return "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in text.splitlines())


def _is_empty(value: Any) -> bool:
    return not value.strip() if isinstance(value, str) else value in (None, {})  # an empty list is a list


def _read_notebook(path: Path) -> dict[str, Any]:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if all("source" in cell and "cell_type" in cell for cell in notebook["cells"]):
            return notebook
    except (OSError, ValueError, RecursionError, TypeError, KeyError):
        pass
    raise ValueError("this is not a notebook that can be read")


def _parameters(notebook: dict[str, Any]) -> dict[str, Parameter]:
    """The parameters that a notebook declares, by name."""
    tagged = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "parameters" in tags(cell)]
    if len(tagged) != 1:
        count = f"{len(tagged)} cells are" if tagged else "no cell is"
        raise ValueError(f"{count} tagged `parameters`, and a chapter has exactly one")
    code = source(tagged[0])
    try:
        statements = parse(code).body
    except SyntaxError as error:
        raise ValueError(f"the parameters cell is not Python (line {error.lineno}: {error.msg})") from None
    comments = _comments(code)
    named: dict[str, ast.expr] = {}
    parameters: dict[str, Parameter] = {}
    for statement in statements:
        if isinstance(statement, ast.ImportFrom) and statement.module in ("workbench.types", "typing"):
            continue
        if isinstance(statement, ast.ImportFrom) and not statement.level and statement.module.startswith(f"{SUBJECT}."):
            named |= _imported(statement)
            continue
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value):
            text = ast.unparse(statement).splitlines()[0]
            raise ValueError(f"`{text}` is not a parameter; write `name: Type = literal  # what it is`")
        name = statement.target.id
        if name in parameters:
            raise ValueError(f"{name} is declared twice")
        lines = range(statement.lineno, statement.end_lineno + 1)
        comment = next((comments[line] for line in lines if line in comments), "")
        parameters[name] = _parameter(name, with_named_types(statement.annotation, named), statement.value, comment)
    return parameters


def _imported(statement: ast.ImportFrom) -> dict[str, ast.expr]:
    """The types that a parameters cell imports by name."""
    try:
        return {each.asname or each.name: named_type(statement.module, each.name) for each in statement.names}
    except ValueError as mistake:
        raise ValueError(f"`{ast.unparse(statement)}`: {mistake}") from None


def _parameter(name: str, kind: ast.expr, value: ast.expr, comment: str) -> Parameter:
    type_text = ast.unparse(kind)
    try:
        annotation = eval(type_text, {"__builtins__": {}}, VOCABULARY) if is_type(kind) else None
    except TypeError:
        annotation = None
    if annotation is None:
        raise ValueError(f"{name}: `{type_text}` is not a type that a parameter can have ({', '.join(VOCABULARY)})")
    try:
        default = ast.literal_eval(value)
    except ValueError:
        raise ValueError(
            f"{name}: its default `{ast.unparse(value)}` is computed, and a default is a literal"
        ) from None
    try:
        return Parameter(name, type_text, annotation, coerce(annotation, default), comment)
    except ValueError as mistake:
        raise ValueError(f"{name}: its own default is refused: {mistake}") from None


def _comments(code: str) -> dict[int, str]:
    """The comment behind each line of code, by line number."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def _misuse(contract: Contract) -> Iterator[str]:
    """What a chapter's other cells do wrong with its parameters."""
    bound, read = set(), set()
    for cell in contract.code_cells:
        if "parameters" in tags(cell):
            continue
        try:
            module = symtable.symtable(python_of(cell), contract.path.name, "exec")
        except SyntaxError as error:
            raise ValueError(f"cell {cell.get('id')} is not Python (line {error.lineno}: {error.msg})") from None
        for symbol in _globals(module):
            if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                bound.add(symbol.get_name())
            if symbol.is_referenced():
                read.add(symbol.get_name())
    for name in contract.parameters:
        if name in bound:
            yield f"a later cell binds the parameter {name} again, so the setup cell could not run twice"
        if name not in read:
            yield f"the parameter {name} is declared and never read"


def _globals(table: symtable.SymbolTable) -> Iterator[symtable.Symbol]:
    """The module-level names that a piece of code uses, in each of its scopes."""
    for symbol in table.get_symbols():
        if table.get_type() == "module" or symbol.is_global():
            yield symbol
    for child in table.get_children():
        yield from _globals(child)
