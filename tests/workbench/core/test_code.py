"""Code is parsed by one thread at a time."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.core.code import parse


def test_many_threads_may_parse_at_once():
    code = "\n".join(f"def f{number}(x):\n    return [x + {number} for x in range({number})]" for number in range(300))
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(parse, [code] * 64))
    assert len({ast.dump(tree) for tree in trees}) == 1


def test_a_mistake_names_the_file():
    with pytest.raises(SyntaxError) as caught:
        parse("x = = 1", "lib/mine.py")
    assert caught.value.filename == "lib/mine.py"
