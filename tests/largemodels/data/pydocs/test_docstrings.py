"""Docstrings are found without importing."""

import sys

import pytest

from largemodels.data.pydocs import docstrings

SOURCE = '''
"""The module's own text."""

class Line:
    """A line."""

    def fit(self):
        """Fit it."""

        def inner():
            """Inner."""

    if True:
        async def later(self):
            """Later."""

def undocumented(): pass
'''


def test_docstrings_carry_qualified_names():
    found = docstrings.read_docstrings(SOURCE.encode(), "pkg._impl.lines")
    assert [tuple(docstring) for docstring in found] == [
        ("pkg._impl.lines", "The module's own text."),
        ("pkg.lines.Line", "A line."),
        ("pkg.lines.Line.fit", "Fit it."),
        ("pkg.lines.Line.fit.inner", "Inner."),
        ("pkg.lines.Line.later", "Later."),
    ]


def test_docstrings_given_as_strings_are_read():
    source = '''
add_newdoc("pkg._core.multi", "ones", """Ones.""")
add_newdoc("pkg._core", "nd", ("shape", """Shape."""))
add_newdoc("pkg._core", "nd", [("x", "X."), ("y", "Y.")])
add_newdoc("airy", """Airy.""")
add_docstr(torch._C._special.erf, r"""Erf {input}""".format(**common) + """ and more""")
erfc = _add_docstr(torch.erfc, """Erfc.""".replace("a", "b"))
add_docstr_all("abs", "Abs.")
add_newdoc("pkg", "computed", make_doc())
'''
    found = docstrings.read_docstrings(source.encode(), "pkg._docs")
    assert {tuple(docstring) for docstring in found} == {
        ("pkg.multi.ones", "Ones."),
        ("pkg.nd.shape", "Shape."),
        ("pkg.nd.x", "X."),
        ("pkg.nd.y", "Y."),
        ("pkg.airy", "Airy."),
        ("torch.erf", "Erf {input} and more"),
        ("torch.erfc", "Erfc."),
        ("torch.Tensor.abs", "Abs."),
    }


@pytest.mark.parametrize(
    "source",
    [b"# This file was automatically generated from x.\n" + SOURCE.encode(), b"def broken(:\n", b"\0"],
)
def test_generated_and_broken_files_yield_nothing(source):
    assert list(docstrings.read_docstrings(source, "pkg")) == []


def test_sources_are_found_without_importing(tmp_path, monkeypatch):
    package = tmp_path / "a_package_of_ours"
    for name in (
        "__init__.py",
        "_impl/__init__.py",
        "_impl/lines.py",
        "tests/test_lines.py",
        "_vendor/six.py",
    ):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert [module for _, module in docstrings.package_sources("a_package_of_ours")] == [
        "a_package_of_ours",
        "a_package_of_ours._impl",
        "a_package_of_ours._impl.lines",
    ]
    assert "a_package_of_ours" not in sys.modules


def test_a_missing_package_is_named():
    with pytest.raises(ModuleNotFoundError, match="no_such_package_here is not installed"):
        docstrings.package_sources("no_such_package_here")
