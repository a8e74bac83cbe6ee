"""Interactive figures as one piece of HTML each, which Jupyter and the built book show as it is.

A figure carries its style, its script and its numbers, and needs no network and no other file.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping

from jinja2 import Environment, StrictUndefined


def figure_html(
    name: str,
    data: Mapping[str, object],
    body: str,
    values: Mapping[str, object],
    *,
    caption: str,
    style: str,
    script: str,
) -> str:
    """The HTML of a figure, the same in every run, with an id that tells it from figures of other content.

    Args:
        name: its class, and the beginning of its id.
        data: its `data-` attributes, for the script.
        body: what stands between style and caption, a Jinja template.
        values: what the template shows.
        caption: plain text under the figure; "" for none.
        style: CSS.
        script: JavaScript, whose first `ID` stands for the figure's id.
    """
    attributes = "".join(f' data-{key}="{html.escape(str(value))}"' for key, value in data.items())
    templates = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    content = templates.from_string(body).render(values)
    identity = f"{name}-{hashlib.sha256(f'{attributes}{content}{caption}'.encode()).hexdigest()[:12]}"
    parts = [
        f'<figure class="{name}" id="{identity}"{attributes}>',
        f"<style>\n{style}</style>",
        content,
        f"<figcaption>{html.escape(caption)}</figcaption>" if caption else "",
        f"<script>\n{script.replace('ID', identity, 1)}</script></figure>",
    ]
    return "\n".join(parts)
