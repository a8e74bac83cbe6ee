"""What a chapter's code reaches is followed name by name, and known by what it computes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.core import packages
from workbench.runs import definitions, syntax
from workbench.runs.definitions import reached_by
from workbench.runs.syntax import STATEMENTS

MODULES = {
    "mine/__init__.py": '"""A package."""\n',
    "mine/shapes.py": '''
"""Shapes."""
import math

from mine.numbers import PI, twice as doubled

UNUSED = 7


def area(radius, *, scale=1.0):
    """The area."""
    return scale * PI * doubled(radius)  # not right


def unrelated(PI):
    return PI + UNUSED


class Base:
    side = 1


class Square(Base):
    def size(self):
        return math.sqrt(self.side)
''',
    "mine/numbers.py": """
import numpy as np

PI = 3.14
TABLE = {}
TABLE["pi"] = PI


def twice(x):
    return np.multiply(x, 2)


def other_twice(x):
    return x + x


def by_name(name):
    return globals()[name]
""",
    "mine/late.py": """
def later():
    from mine.shapes import area

    return area(1)


def shadows(twice):
    return [PI for PI in twice]


from mine.numbers import PI, twice
""",
    "mine/note.txt": "A note.\n",
    "mine/notes.py": """
from pathlib import Path


def note():
    return Path(__file__).with_name("note.txt").read_text()
""",
}


@pytest.fixture
def package(tmp_path, monkeypatch) -> Iterator[Path]:
    """A package of our own, as those are that are installed with the workbench."""
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    for module in (packages, definitions):
        monkeypatch.setattr(module, "our_packages", lambda: {"mine": tmp_path / "mine"})
    yield tmp_path / "mine"
    forget()


def forget() -> None:
    """Read every module again: files of one size may change within one tick of the clock."""
    for cached in (packages.path_of, syntax.module_named, syntax.definition):
        cached.cache_clear()


def reached(*cells: str) -> definitions.Reached:
    forget()
    return reached_by([ast.parse(cell) for cell in cells])


def names(*cells: str) -> set[str]:
    return set(reached(*cells).definitions)


def content(*cells: str) -> tuple:
    """What the content key has of the code, where the definitions stand aside."""
    found = reached(*cells)
    named = sorted((place.partition(":")[2], digest) for place, digest in found.definitions.items())
    return named, found.links, found.code


STATEMENT = f"mine.numbers:{STATEMENTS}"
AREA = {"mine.shapes:area", "mine.numbers:PI", "mine.numbers:TABLE", "mine.numbers:twice", STATEMENT}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("from mine.shapes import area\narea(2)", AREA),
        ("from mine import shapes\nshapes.area(2)", AREA),
        ("import mine.shapes\nmine.shapes.area(2)", AREA),
        ("import mine.shapes as s\ns.area", AREA),
        ("from mine.late import later\nlater()", {*AREA, "mine.late:later"}),
        ("from mine.shapes import twice", {"mine.numbers:PI", "mine.numbers:TABLE", STATEMENT}),
        ("from mine.shapes import doubled\ndoubled(1)", AREA - {"mine.shapes:area"}),
        (
            "from mine.shapes import Square\nSquare()",
            {"mine.shapes:Square", "mine.shapes:Base"} | AREA - {"mine.shapes:area", "mine.numbers:twice"},
        ),
        ("def f():\n    from mine.shapes import area\n    return area", AREA),
        ("print(1)", set()),
    ],
)
def test_names_are_followed_however_they_were_imported(package, cell, expected):
    assert names(cell) == expected


def test_a_parameter_or_a_comprehension_s_variable_is_no_global_of_the_same_name(package):
    assert "mine.numbers:twice" not in names("from mine.late import shadows\nshadows([])")
    assert "mine.shapes:UNUSED" in names("from mine.shapes import unrelated\nunrelated(1)")


@pytest.mark.parametrize(
    "cell",
    [
        "from mine.numbers import by_name\nby_name('twice')",
        "from mine import numbers\ngetattr(numbers, 'tw' + 'ice')",
        "from mine.numbers import *\ntwice(1)",
        "from mine import numbers\nnumbers.made_at_run_time",
        "import importlib\nimportlib.import_module('mine.numbers')",
    ],
)
def test_where_reach_cannot_be_decided_the_whole_module_counts(package, cell):
    every = {"PI", "TABLE", "twice", "other_twice", "by_name", STATEMENTS}
    assert names(cell) >= {f"mine.numbers:{name}" for name in every}


def test_foreign_packages_count_where_a_reached_definition_uses_them(package):
    assert reached("from mine.shapes import area\narea(1)").packages == {"numpy"}
    assert reached("from mine.numbers import other_twice\nother_twice(1)").packages == set()
    assert reached("import torch").packages == {"torch"}
    assert reached("def f():\n    from scipy.stats import norm").packages == {"scipy"}


def test_a_file_beside_a_module_counts_where_a_reached_definition_names_it(package):
    assert list(reached("from mine.notes import note\nnote()").files) == ["mine/note.txt"]
    assert not reached("import mine.notes").files


def edited(package: Path, module: str, old: str, new: str) -> None:
    path = package / module
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


CELL = "from mine.shapes import area, Square\narea(2), Square()"


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("shapes.py", '"""The area."""', '"""Another text."""'),
        ("shapes.py", "  # not right", ""),
        ("shapes.py", "def area", "def a_new_neighbour(): ...\n\n\ndef area"),
        ("shapes.py", "UNUSED = 7", "UNUSED = 8"),
        ("shapes.py", "PI, twice as doubled", "PI\nfrom mine.numbers import twice as doubled"),
        ("numbers.py", "import numpy as np", "import numpy as numbers"),
        ("numbers.py", "def by_name", "ADDED = 1\n\n\ndef by_name"),
    ],
)
def test_what_computes_nothing_else_changes_nothing(package, module, old, new):
    before = content(CELL)
    edited(package, module, old, new)
    if "numbers" in new and module == "numbers.py" and "as" in new:
        edited(package, module, "np.multiply", "numbers.multiply")
    assert content(CELL) == before


@pytest.mark.parametrize(
    ("module", "old", "new", "changed"),
    [
        ("shapes.py", "scale=1.0", "scale=2.0", "mine.shapes:area"),
        ("shapes.py", "scale * PI", "scale + PI", "mine.shapes:area"),
        ("shapes.py", "class Square(Base)", "@print\nclass Square(Base)", "mine.shapes:Square"),
        ("shapes.py", "side = 1", "side = 2", "mine.shapes:Base"),
        ("numbers.py", "PI = 3.14", "PI = 3.2", "mine.numbers:PI"),
        ("numbers.py", 'TABLE["pi"] = PI', 'TABLE["e"] = PI', STATEMENT),
        ("numbers.py", "import numpy as np", "import torch as np", "mine.numbers:twice"),
    ],
)
def test_what_may_compute_something_else_changes_its_own_definition_and_no_other(package, module, old, new, changed):
    before = reached(CELL).definitions
    edited(package, module, old, new)
    after = reached(CELL).definitions
    assert {place for place in before if before[place] != after.get(place)} == {changed}


def test_an_alias_that_stands_for_another_definition_changes_the_content(package):
    both = f"{CELL}\nfrom mine.numbers import other_twice\nother_twice(1)"
    before = content(both)
    edited(package, "shapes.py", "twice as doubled", "other_twice as doubled")
    assert content(both) != before


def test_a_definition_of_the_same_name_in_another_module_is_another_link(package):
    """Both are reached before and after, and both callers are written alike."""
    (package / "a.py").write_text("def few(): return 1\n")
    (package / "b.py").write_text("def few(): return 2\n")
    (package / "c.py").write_text("from mine.a import few\n\n\ndef call(): return few()\n")
    cell = "from mine import a, b, c\na.few(), b.few(), c.call()"
    before = reached(cell)
    edited(package, "c.py", "mine.a", "mine.b")
    after = reached(cell)
    assert before.definitions == after.definitions
    assert before.links != after.links


PAIR = {
    "a.py": "N = 2\n\n\ndef k(): return 1\n\n\ndef f(): return k()\n",
    "b.py": "N = 3\n\n\ndef k(): return 2\n\n\ndef f(): return k()\n",
    "c.py": "from mine.a import f\n\n\ndef call(): return f()\n",
}


@pytest.fixture
def pair(package) -> Path:
    """Two modules whose definitions have the same names, and whose functions are written alike."""
    for name, text in PAIR.items():
        (package / name).write_text(text)
    return package


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("from mine import a, b\na.N - b.N", "from mine import a, b\nb.N - a.N"),
        ("from mine import a, b\n[m.f() for m in (a, b)]", "from mine import a, b\n[m.f() for m in (b, a)]"),
        ("from mine import a, b\n(a.f(), b.f())", "from mine import a, b\n(b.f(), a.f())"),
    ],
)
def test_definitions_of_one_name_are_told_apart_by_where_they_are_used(pair, one, other):
    assert content(one) != content(other)


def test_a_function_that_is_written_like_another_is_told_by_what_it_calls(pair):
    cell = "from mine import a, b, c\na.f(), b.f(), c.call()"
    before = content(cell)
    edited(pair, "c.py", "mine.a", "mine.b")
    assert content(cell) != before


IMPORT_F = "from mine.a import f"


@pytest.mark.parametrize(
    ("module", "text", "cell"),
    [
        ("s.py", "from mine.a import f\n", "from mine import s\ngetattr(s, 'f')()"),
        ("s.py", "from mine.a import f\n", "from mine.s import *\nf()"),
        ("s.py", "from mine.a import *\n", "from mine import s\ns.f()"),
        (
            "s.py",
            "try:\n    from mine.a import f\nexcept ImportError:\n    from mine.b import f\n",
            "from mine.s import f\nf()",
        ),
        ("s.py", "from mine.a import k\n\nk = max(k, 1)\n", "from mine.s import k\nk"),
        ("s.py", "", "from mine.a import f\nf()\nfrom mine.b import f\nf()"),
        (
            "s.py",
            "def f(k=[k for k in [1]]):\n    from mine.a import k\n    return [k for k in k()]\n",
            "from mine.s import f\nf()",
        ),
    ],
)
def test_whatever_a_name_may_stand_for_counts(pair, module, text, cell):
    (pair / module).write_text(text)
    before = content(cell)
    edited(pair, "a.py", "return 1", "return 7")
    assert content(cell) != before


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("R = []\n\n\ndef reg(f):\n    R.append(f)\n\n\n@reg\ndef one(): return 1\n", "return 1", "return 2"),
        ("R = {}\n\nx = R['a'] = 1\n", "= 1", "= 2"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    R = 1\n", "R = 1", "R = 2"),
        ("R = 0.5\n", "0.5", "'0.5'"),
    ],
)
def test_what_a_module_does_on_import_counts_though_nothing_names_it(package, text, old, new):
    (package / "r.py").write_text(text)
    before = content("from mine.r import R\nR")
    edited(package, "r.py", old, new)
    assert content("from mine.r import R\nR") != before


def test_a_file_that_changes_is_read_again_in_the_same_process(package):
    cell = ast.parse("from mine.numbers import PI\nPI")
    before = reached_by([cell]).definitions
    edited(package, "numbers.py", "PI = 3.14", "PI = 3.14159")
    assert reached_by([cell]).definitions != before


def test_the_order_of_imports_is_no_part_of_the_code(package):
    body = "area(PI)"
    one = f"from mine.shapes import area\nfrom mine.numbers import PI\n{body}"
    other = f"from mine.numbers import PI\nfrom mine.shapes import area\n{body}"
    assert content(one) == content(other)


def test_a_module_that_moves_is_the_same(package):
    before = content(CELL)
    (package / "deep").mkdir()
    (package / "deep" / "__init__.py").write_text("")
    (package / "numbers.py").rename(package / "deep" / "figures.py")
    edited(package, "shapes.py", "mine.numbers", "mine.deep.figures")
    assert content(CELL) == before
    (package / "shapes.py").rename(package / "deep" / "forms.py")
    assert content(CELL.replace("mine.shapes", "mine.deep.forms")) == before


def test_a_module_that_is_not_python_is_named(package):
    (package / "shapes.py").write_text("def area(:\n")
    with pytest.raises(SyntaxError, match="shapes"):
        reached(CELL)


def test_every_file_of_ours_that_is_no_module_is_named_where_it_can_be_found(root):
    """A file whose name is put together at run time would be missed."""
    for folder in packages.our_packages().values():
        for file in folder.rglob("*"):
            if file.is_file() and file.suffix not in (".py", ".pyc") and "weights" not in file.parts:
                modules = "".join(module.read_text() for module in file.parent.glob("*.py"))
                assert f'"{file.name}"' in modules, file
