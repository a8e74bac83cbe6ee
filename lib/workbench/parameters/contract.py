"""The contract of a chapter: what its parameters cell declares, and whether a request keeps to it.

The notebook is read as JSON and its cells with `ast`; nothing of it is executed. A chapter that breaks a rule is
refused like any bad request, with a sentence for each breach:

- exactly one cell is tagged `parameters`;
- that cell imports types from `workbench.types`, `typing` or the subject's library (`workbench.parameters.annotations`)
  and annotates literals, each of which fits its annotation;
- the rest of the notebook keeps the rules of `workbench.parameters.rules`.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.code import parse
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.core.secrets import refuse_secret
from workbench.core.text import nearest, nearest_or_all, shown
from workbench.parameters.annotations import SUBJECT, is_type, named_type, with_named_types
from workbench.parameters.cells import PARAMETERS, code_cells, python_of, source, tags
from workbench.parameters.rules import broken_rules, misused
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
        return code_cells(self.notebook)

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


def load_contract(project: Project, chapter: str, *, every_rule: bool = False) -> Contract:
    """The contract of a chapter by name.

    Args:
        project: where it is looked for.
        chapter: its name.
        every_rule: refuse it for rules, too, without which it could run (`workbench.parameters.rules`).

    Raises:
        RequestError: for an unknown chapter, a damaged notebook, or a chapter that breaks rules, a sentence for each.
    """
    if chapter not in project.chapters():
        raise RequestError(f"no chapter {shown(chapter)}{nearest_or_all(Path(chapter).stem, project.chapters())}")
    return read_contract(project.notebooks / f"{chapter}.ipynb", every_rule=every_rule)


def read_contract(path: Path, *, every_rule: bool = False) -> Contract:
    """The contract of a notebook file; see `load_contract`."""
    try:
        notebook = _read_notebook(path)
    except ValueError as mistake:
        raise RequestError(f"{path.name}: {mistake}") from None
    parameters, mistakes = _parameters(notebook)
    mistakes += misused(notebook, parameters)
    if every_rule:
        mistakes += broken_rules(notebook, parameters)
    if mistakes:
        raise RequestError(*(f"{path.name}: {mistake}" for mistake in mistakes))
    return Contract(path.stem, path, notebook, parameters)


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


def _parameters(notebook: dict[str, Any]) -> tuple[dict[str, Parameter], list[str]]:
    """The parameters that a notebook declares, by name, and a sentence for each line of their cell that is wrong."""
    tagged = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and PARAMETERS in tags(cell)]
    if len(tagged) != 1:
        count = f"{len(tagged)} cells are" if tagged else "no cell is"
        return {}, [f"{count} tagged `{PARAMETERS}`, and a chapter has exactly one"]
    code = source(tagged[0])
    try:
        statements = parse(code).body
    except SyntaxError as error:
        return {}, [f"the parameters cell is not Python (line {error.lineno}: {error.msg})"]
    comments = _comments(code)
    types: dict[str, ast.expr] = {}
    parameters: dict[str, Parameter] = {}
    mistakes = []
    for statement in statements:
        try:
            if isinstance(statement, ast.ImportFrom) and not statement.level:
                types |= _imported(statement)
                continue
            parameter = _parameter(statement, types, comments)
            if parameter.name in parameters:
                raise ValueError(f"{parameter.name} is declared twice")
            parameters[parameter.name] = parameter
        except ValueError as mistake:
            mistakes.append(str(mistake))
    return parameters, mistakes


def _imported(statement: ast.ImportFrom) -> dict[str, ast.expr]:
    """The types that a parameters cell imports by name from the subject's library."""
    if statement.module in ("workbench.types", "typing"):
        return {}
    if not statement.module.startswith(f"{SUBJECT}."):
        raise _no_parameter(statement)
    try:
        return {each.asname or each.name: named_type(statement.module, each.name) for each in statement.names}
    except ValueError as mistake:
        raise ValueError(f"`{ast.unparse(statement)}`: {mistake}") from None


def _no_parameter(statement: ast.stmt) -> ValueError:
    text = ast.unparse(statement).splitlines()[0]
    return ValueError(f"`{text}` is not a parameter; write `name: Type = literal  # what it is`")


def _parameter(statement: ast.stmt, types: dict[str, ast.expr], comments: dict[int, str]) -> Parameter:
    """What a line of a parameters cell declares."""
    if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value):
        raise _no_parameter(statement)
    name, kind = statement.target.id, with_named_types(statement.annotation, types)
    type_text = ast.unparse(kind)
    try:
        annotation = eval(type_text, {"__builtins__": {}}, VOCABULARY) if is_type(kind) else None
    except TypeError:
        annotation = None
    if annotation is None:
        raise ValueError(f"{name}: `{type_text}` is not a type that a parameter can have ({', '.join(VOCABULARY)})")
    try:
        default = ast.literal_eval(statement.value)
    except ValueError:
        raise ValueError(
            f"{name}: its default `{ast.unparse(statement.value)}` is computed, and a default is a literal"
        ) from None
    lines = range(statement.lineno, statement.end_lineno + 1)
    comment = next((comments[line] for line in lines if line in comments), "")
    try:
        return Parameter(name, type_text, annotation, coerce(annotation, default), comment)
    except ValueError as mistake:
        raise ValueError(f"{name}: its own default is refused: {mistake}") from None


def _comments(code: str) -> dict[int, str]:
    """The comment behind each line of code, by line number."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
