"""The directive that shows the commands of a Typer app."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import typer.main

from workbench.book.commands_directive import described
from workbench.cli.commands import app

APP = '''
"""An app of two commands."""
from typing import Annotated
import typer

app = typer.Typer(rich_markup_mode="markdown", context_settings={"help_option_names": ["-h", "--help"]})

@app.command()
def weigh(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="What is weighed.")],
    times: Annotated[int, typer.Option("--times", "-t", metavar="N", help="How often.", min=1, max=9)] = 3,
) -> None:
    """Weigh `things`.

    Each is weighed alone. Exit
    codes: 0 all are light, 1 one is not.

    **Examples**

        tool weigh feather lead
        tool weigh feather -t 5
    """

@app.command()
def lift(name: Annotated[str | None, typer.Argument(metavar="NAME", help="What is lifted.")] = None) -> None:
    """Lift one thing."""
'''
PAGE = """# Commands

```{commands} tool:app
:program: tool

tool
tool weigh
tool lift
```

See [how to weigh](tool-weigh), [](tool-lift) and {option}`tool weigh --times`.
"""


def build(folder, page: str) -> subprocess.CompletedProcess[str]:
    (folder / "tool.py").write_text(APP, encoding="utf-8")
    (folder / "index.md").write_text(page, encoding="utf-8")
    (folder / "conf.py").write_text(
        "import sys\nsys.path.insert(0, '.')\nextensions = ['myst_nb', 'workbench.book.extension']\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", str(folder), str(folder / "out")]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)


def test_a_page_shows_each_command_and_can_link_to_it_and_to_its_options(tmp_path):
    built = build(tmp_path, PAGE)
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    text = " ".join(re.sub(r"<[^>]+>|¶", "", page).split())
    assert "Weigh things. Each is weighed alone. tool weigh [OPTIONS] NAME… NAME… What is weighed." in text
    assert "-t, --times N How often. (default: 3; 1 to 9) Exit codes: 0 all are light, 1 one is not." in text
    assert "tool weigh feather lead tool weigh feather -t 5" in text
    assert "tool lift [OPTIONS] [NAME]" in text
    assert re.search(r'<section id="tool-weigh">\s*<h2><code', page)
    assert re.search(r'href="#tool-weigh"[^>]*><span[^>]*>how to weigh', page)
    assert re.search(r'href="#tool-lift"[^>]*><span[^>]*>tool lift', page)
    assert 'href="#cmdoption-tool-weigh-t"' in page
    assert text.count("--help") == 1


def test_a_command_that_the_app_lacks_is_an_error_of_the_page(tmp_path):
    built = build(tmp_path, PAGE.replace("tool lift\n", "tool drop\n"))
    assert built.returncode != 0
    assert "tool:app has no command tool drop" in built.stderr


COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_described_with_its_options_and_examples(name):
    lines = list(described(f"workbench {name}", COMMANDS[name]))
    said = "\n".join(lines)
    assert lines[0].strip()
    assert said.count("```bash") == 2  # the usage and the examples
    options = [option for each in COMMANDS[name].params for option in each.opts if option.startswith("--")]
    assert [option for option in options if option != "--help" and option not in said] == []
    assert not re.search(r"<(?:float|int|str|text|range)\b", said), "a value has a name"
