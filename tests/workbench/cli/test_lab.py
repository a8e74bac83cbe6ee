"""JupyterLab as `workbench lab` and `open` start it: for its user alone, and with others' notebooks untrusted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import nbformat
import psutil
import pytest

from made_runs import make_run
from workbench.cli.lab_notebooks import KEPT

OUTPUTS = [
    {"text/html": "<img src=x onerror=alert(1)>", "text/plain": "harmless"},
    {"application/javascript": "alert(1)"},
]


@contextlib.contextmanager
def lab(project: Any, *arguments: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """A server that was started by `workbench` with these arguments, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    jupyter = {f"JUPYTER_{name}_DIR": str(project.root / f"jupyter-{name}") for name in ("RUNTIME", "DATA", "CONFIG")}
    command = [sys.executable, "-m", "workbench.cli.app", *arguments, "--no-browser", f"--port={port}"]
    process = subprocess.Popen(
        command, cwd=project.root, env={**os.environ, **jupyter}, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def token_of(project: Any, process: subprocess.Popen) -> str:
    """The token of a server, once it serves; it stands in a file that its user alone can read."""
    facts = project.root / "jupyter-RUNTIME" / f"jpserver-{process.pid}.json"
    deadline = time.monotonic() + 60
    while not (facts.exists() and facts.read_text().endswith("}")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while not listens(process):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert facts.stat().st_mode & 0o077 == 0
    return json.loads(facts.read_text())["token"]


def listens(process: subprocess.Popen) -> bool:
    """Whether a server has its socket: the file is there a moment earlier."""
    return any(each.status == psutil.CONN_LISTEN for each in psutil.Process(process.pid).net_connections())


def get(address: str, token: str | None = None) -> Any:
    """What the server answers: its status where it refuses, and otherwise the content."""
    request = urllib.request.Request(address, headers={"Authorization": f"token {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_a_forged_notebook_opens_untrusted_on_a_server_that_wants_its_token(project):
    folder = make_run(project)
    cells = [
        nbformat.v4.new_code_cell(
            "1", metadata={"trusted": True}, outputs=[nbformat.v4.new_output("display_data", data)]
        )
        for data in OUTPUTS
    ]
    forged = nbformat.v4.new_notebook(cells=cells, metadata={"trusted": True, "signature": "sha256:0"})
    (folder / "toy-opened.ipynb").write_text(nbformat.writes(forged))
    with lab(project, "open", "latest") as (process, address):
        token = token_of(project, process)
        assert len(token) >= 32
        assert get(f"{address}/api/status") == 403
        assert get(f"{address}/api/status", "another") == 403
        assert get(f"{address}/api/status", token)["kernels"] == 0
        opened = get(f"{address}/api/contents/runs/toy/{folder.name}/toy-opened.ipynb", token)
        assert [cell["metadata"]["trusted"] for cell in opened["content"]["cells"]] == [False, False]
        ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # under nohup
        process.send_signal(signal.SIGTERM if ignored else signal.SIGHUP)
        process.communicate(timeout=60)
    assert not list((project.root / "jupyter-RUNTIME").glob("jpserver-*")), "it ended in order"


@pytest.mark.parametrize("options", [["--ServerApp.token="], ["--IdentityProvider.token", ""], []])
def test_a_server_that_would_let_everybody_in_is_refused(project, options):
    if not options:  # the user's settings say so
        (project.root / "jupyter-CONFIG").mkdir()
        (project.root / "jupyter-CONFIG" / "jupyter_server_config.json").write_text('{"ServerApp": {"token": ""}}')
    with lab(project, "lab", *options) as (process, _):
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.splitlines()[-1] == "workbench: without a token or a password everybody here could run code as you"


def test_a_server_that_other_machines_can_reach_says_so(project):
    with lab(project, "lab", "--ip=0.0.0.0") as (process, address):
        token_of(project, process)
        assert get(f"{address}/api/status") == 403
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert "workbench: other machines can reach JupyterLab at 0.0.0.0; whoever has its token or password runs" in said


def test_a_notebook_is_opened_as_its_kernel_would_write_it_and_saved_as_the_repository_keeps_it(project):
    path = project.root / "chapter.ipynb"
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")], metadata=KEPT)))
    with lab(project, "lab") as (process, address):
        token = token_of(project, process)
        opened = get(f"{address}/api/contents/chapter.ipynb", token)
        spec = get(f"{address}/api/kernelspecs", token)["kernelspecs"]["python3"]["spec"]
        metadata = opened["content"]["metadata"]
        assert metadata["kernelspec"]["display_name"] == spec["display_name"]
        assert metadata["language_info"]["version"] == ".".join(map(str, sys.version_info[:3]))
        body = json.dumps({"type": "notebook", "format": "json", "content": opened["content"]}).encode()
        headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}/api/contents/chapter.ipynb", body, headers=headers, method="PUT")
        urllib.request.urlopen(request, timeout=20).close()
    assert json.loads(path.read_text())["metadata"] == KEPT


def test_a_chapter_reads_as_in_the_book_and_opening_it_changes_nothing(project, browser):
    cell = nbformat.v4.new_markdown_cell("$$a = b$$ (of-the-test)\n\n```{dropdown} Solution\nForty-two.\n```")
    (project.root / "chapter.ipynb").write_text(nbformat.writes(nbformat.v4.new_notebook(cells=[cell], metadata=KEPT)))
    with lab(project, "lab") as (process, address), contextlib.closing(browser.new_page()) as page:
        page.goto(f"{address}/lab/tree/chapter.ipynb?token={token_of(project, process)}")
        solution = page.locator(".jp-MarkdownCell details")
        solution.wait_for(timeout=60_000)
        assert "Solution" in solution.inner_text()
        assert "Forty-two." in solution.text_content()
        assert not solution.evaluate("details => details.open")
        assert page.locator(".jp-MarkdownCell .katex").count() == 1
        page.wait_for_selector(".jp-NotebookPanel-notebook")
        assert page.locator(".jp-mod-dirty").count() == 0
