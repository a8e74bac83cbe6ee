"""The directive `{quiz}`: questions by which readers check themselves, in a page or a cell of text.

    :::{quiz}

    1. What does the softmax run over?

       - [ ] The queries.
       - [x] The keys.

       Each query shares out one weight among the keys, so rows sum to one.
    :::

Where the directive is not known, as in JupyterLab, this reads as a numbered list with boxes. The page has a field set
of radio buttons for each question, and the answer folded under it, which opens without a script; `quiz.js` says at once
whether a choice is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_lowercase

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

_BOX = re.compile(r"^(\s*[-*+] )\[([ xX])\] ")
_OPEN, _RIGHT = "\ue000", "\ue001"
"""What stands for the two boxes while the text is parsed, so that no extension of Markdown makes fields of them."""


class Quiz(SphinxDirective):
    """A numbered list of questions: under each a list of options with boxes, one of them ticked, and an explanation."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The nodes of the page, or an error of the page for each question that is not one."""
        container = nodes.container()
        lines = [_BOX.sub(lambda box: box[1] + (_OPEN if box[2] == " " else _RIGHT), line) for line in self.content]
        self.state.nested_parse(StringList(lines, items=list(self.content.items)), self.content_offset, container)
        if len(container) != 1 or not isinstance(container[0], nodes.enumerated_list):
            raise self.error("a quiz is a numbered list of questions and nothing else")
        name = f"quiz-{self.env.new_serialno('quiz') + 1}"
        quiz, faults = nodes.container(classes=["quiz"]), []
        for number, item in enumerate(container[0], start=1):
            try:
                quiz += _question(item, number, f"{name}-{number}")
            except ValueError as error:
                line = _line(item) or self.lineno
                faults.append(self.state_machine.reporter.error(f"question {number} of a quiz {error}", line=line))
        return faults or [quiz]


def _line(item: nodes.list_item) -> int | None:
    """Where an item stands in its page."""
    return next((node.line for node in item.findall() if getattr(node, "line", None)), None)


def _question(item: nodes.list_item, number: int, name: str) -> Iterator[nodes.Node]:
    """The field set of a question.

    Raises:
        ValueError: where a part of it is missing, or not one option is right.
    """
    at = next((at for at, part in enumerate(item) if isinstance(part, nodes.bullet_list)), len(item))
    asked, options, explained = item[:at], list(item[at]) if at < len(item) else [], item[at + 1 :]
    marks = [_mark(option) for option in options]
    if not asked or not isinstance(asked[0], nodes.paragraph):
        raise ValueError("does not begin with a sentence")
    if not 2 <= len(options) <= len(ascii_lowercase) or "" in marks:
        raise ValueError("needs two options or more, each beginning with [ ] or [x]")
    if marks.count(_RIGHT) != 1:
        raise ValueError(f"has {marks.count(_RIGHT) or 'no'} right options; mark one with [x]")
    if not explained:
        raise ValueError("lacks an explanation under its options")
    right = ascii_lowercase[marks.index(_RIGHT)]
    yield _html(f'<fieldset class="quiz-question" data-right="{right}"><legend>')
    yield nodes.inline("", f"{number}. ", *asked[0].children, classes=["quiz-asked"])
    yield _html("</legend>")
    yield from asked[1:]
    for letter, option in zip(ascii_lowercase, options, strict=False):
        yield _html(f'<label><input type="radio" name="{name}" value="{letter}"><span>{letter})</span> ')
        yield nodes.inline("", "", *(child for part in option for child in part.children))
        yield _html("</label>")
    yield _html('<p class="quiz-verdict" role="status"></p><details><summary>Answer</summary>')
    answer = nodes.paragraph("", "", nodes.strong(text=f"{right})"), nodes.Text(" "))
    if isinstance(explained[0], nodes.paragraph):
        answer += explained.pop(0).children
    yield answer
    yield from explained
    yield _html("</details></fieldset>")


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def _mark(option: nodes.list_item) -> str:
    """Which box an option begins with, which is taken out of it; "" for none."""
    text = next(option.findall(nodes.Text), None)
    if text is None or text[0] not in (_OPEN, _RIGHT):
        return ""
    text.parent.replace(text, nodes.Text(text[1:]))
    return text[0]
