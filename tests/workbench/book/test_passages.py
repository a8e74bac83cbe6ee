"""The passages that search results show, in the order in which they are looked through."""

from __future__ import annotations

from docutils.core import publish_doctree

from workbench.book.passages import passages


def test_entries_of_a_list_of_references_come_behind_the_text_that_follows_them():
    page = publish_doctree(
        """
Text
====

Before [Doe20]_ it was said.

.. [Doe20] Doe: Questions.

Questions come after.
"""
    )
    texts = [text for _, text in passages(page)]
    assert texts == ["Before Doe20 it was said.", "Questions come after.", "Doe: Questions."]
