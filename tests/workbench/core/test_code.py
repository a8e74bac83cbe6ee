"""Code is parsed by one thread at a time."""

from __future__ import annotations

import ast
import gc
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.core.code import parse


def give_way(phase: str, facts: dict) -> None:
    """Let another thread go on in the middle of what this one allocates."""
    time.sleep(0.0001)


def test_many_threads_may_parse_at_once():
    code = "\n".join(f"def f{number}(x):\n    return [x + {number} for x in range({number})]" for number in range(100))
    gc.callbacks.append(give_way)
    try:
        with ThreadPoolExecutor(8) as pool:
            trees = list(pool.map(parse, [code] * 100))
    finally:
        gc.callbacks.remove(give_way)
    assert len({ast.dump(tree) for tree in trees}) == 1


def test_a_mistake_names_the_file():
    with pytest.raises(SyntaxError) as caught:
        parse("x = = 1", "lib/mine.py")
    assert caught.value.filename == "lib/mine.py"
