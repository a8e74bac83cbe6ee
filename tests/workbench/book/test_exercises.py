"""An exercise is taken apart into what is asked, its hints, its check and its solution, or refused in a sentence."""

from __future__ import annotations

import pytest

from workbench.book.exercises import exercises_of
from workbench.core.errors import RequestError

IN_WORDS = "**1.** *Easy.* Why?\n\n```{dropdown} Hint\nThink.\n```\n\n```{dropdown} Solution\nSo.\n```\n"
IN_CODE = """\
**2.** *Hard.* Write `doubled(x)`.

```{dropdown} Hint
A sum.
```

```{dropdown} Hint
Of what?
```

````{dropdown} Check
```python
assert doubled(3) == 6
```
````

````{dropdown} Solution
It is a sum.

```python
def doubled(x):
    return x + x
```

And so on.

```python
# ## no heading
```
````
"""


def taken_apart(text):
    cells = [{"cell_type": "markdown", "id": "exercises", "source": text}]
    return exercises_of({"cells": [{"cell_type": "markdown", "id": "title", "source": "# Toy"}, *cells]}, "toy")


def test_an_exercise_has_its_parts_apart():
    found = taken_apart(f"## Exercises\n\n{IN_WORDS}\n{IN_CODE}\n## Try it\n\nA line.\n")
    in_words, in_code = found.exercises
    assert (found.before, found.behind) == ("## Exercises", "## Try it\n\nA line.")
    assert (in_words.number, in_words.grade, in_words.text, in_words.hints) == (1, "Easy", "Why?", ("Think.",))
    assert (in_words.check, in_words.solution, in_words.code) == ("", "So.", "")
    assert (in_code.number, in_code.grade, in_code.text) == (2, "Hard", "Write `doubled(x)`.")
    assert in_code.hints == ("A sum.", "Of what?")
    assert in_code.check == "assert doubled(3) == 6"
    assert in_code.code == "def doubled(x):\n    return x + x\n\n# ## no heading"
    assert in_code.solution.split() == ["It", "is", "a", "sum.", "And", "so", "on."]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("## Exercises\n", "toy has no exercises"),
        (IN_WORDS.replace("*Easy.* ", ""), r"toy: exercise 1 has no grade; begin it with \*Easy.\*, \*Medium.\* or"),
        (IN_WORDS.replace("Easy", "Simple"), "exercise 1 has no grade"),
        (IN_WORDS.partition("```{dropdown} Sol")[0], "exercise 1 has no solutions"),
        (IN_WORDS.replace("Hint", "Tip"), "exercise 1 folds away a 'Tip', which is no Hint, Check, Solution"),
        (IN_CODE, "exercise 2 is out of turn; it stands where 1 is expected"),
        (
            IN_WORDS + IN_CODE.replace("````{dropdown} Check", "````python"),
            "exercise 2 has code in its solution and no",
        ),
        (
            IN_WORDS + IN_CODE.replace("```python\ndef", "```text\ndef").replace("```python\n#", "```text\n#"),
            "a check and",
        ),
    ],
)
def test_what_is_no_exercise_is_refused_in_a_sentence(text, said):
    with pytest.raises(RequestError, match=said) as refused:
        taken_apart(text)
    assert len(refused.value.sentences) == 1


def test_a_chapter_without_the_cell_has_no_exercises():
    with pytest.raises(RequestError, match="toy has no exercises: no cell `exercises`"):
        exercises_of({"cells": []}, "toy")
