"""Warm kernels: they compute what ordinary ones do, behave as they do, and outlive nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager

import workbench.kernels.provisioner
from toy_project import write_chapter
from workbench.book.check import nbval
from workbench.core.secrets import Secrets
from workbench.kernels import forkserver, warm
from workbench.kernels.warm import ADDRESS, CHOICE, NAME, ForkedKernel, fork_kernel, warm_kernels
from workbench.runs.notebooks import accept_run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")

BEGIN = "from workbench.chapter import begin\nchapter = begin()"
RANDOM = """\
import random

import numpy as np
import torch

words = {f"word {number}" for number in range(200)}
chapter.record("order", " ".join(words))
chapter.record("python", random.random())
chapter.record("numpy", np.random.normal())
chapter.record("generator", np.random.default_rng(seed).normal())
x = torch.randn(300, 700)
y = torch.nn.functional.layer_norm(x @ x.T, (300,)).softmax(1)
chapter.record("torch", (y @ x).double().std())
chapter.record("eigenvalues", np.linalg.eigvalsh((x @ x.T).numpy()).std())
chapter.record("threads", torch.get_num_threads())
"""
CLAIM = "chapter.claim('The mean is small: mean', y.mean(), below=1)"
PARENT = "import os; print(open(f'/proc/{os.getppid()}/cmdline').read())"


@contextlib.contextmanager
def cold() -> Iterator[None]:
    """Ordinary kernels, whatever the environment says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(CHOICE, raising=False)
        patch.delenv(ADDRESS, raising=False)
        warm._forget_the_choice()
        yield
    warm._forget_the_choice()


class Kernel:
    """A kernel of this environment and what it prints."""

    def __init__(self, **environment: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="kernel-")
        self.manager = KernelManager(transport="ipc", connection_file=str(Path(self._folder) / "kernel.json"))
        self.manager.start_kernel(env={**Secrets().kernel_environment(), **environment})
        self.connect()

    def connect(self) -> None:
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str) -> str:
        printed = []
        hook = lambda message: printed.append(message["content"].get("text", ""))  # noqa: E731
        reply = self.client.execute_interactive(code, timeout=60, output_hook=hook, allow_stdin=False)
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed).strip()

    @property
    def process(self):
        return self.manager.provisioner.process

    @property
    def forked(self) -> bool:
        return isinstance(self.process, ForkedKernel)

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture
def kernel(warm_server) -> Iterator[Callable]:
    """Start kernels that end with the test."""
    with contextlib.ExitStack() as ends:

        def start(**environment: str) -> Kernel:
            started = Kernel(**environment)
            ends.callback(started.stop)
            return started

        yield start


def until(holds: Callable[[], object]) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(pid: int) -> bool:
    """Whether no process runs under this id; a zombie that another parent has yet to reap does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("threads", [None, "1", "2"])
def test_a_warm_run_computes_what_a_cold_one_does(project, run, warm_server, monkeypatch, threads):
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    write_chapter(project.root, BEGIN, RANDOM, CLAIM, PARENT)
    first, second = run(force=True)[0], run(force=True)[0]
    with cold():
        ordinary, _ = run(force=True)
    assert "workbench.kernels.forkserver" in second.notebook.read_text()
    assert "workbench.kernels.forkserver" not in ordinary.notebook.read_text()
    assert [done.status for done in (first, second, ordinary)] == ["completed"] * 3
    assert len(ordinary.record["metrics"]) == 7
    assert first.record["metrics"] == second.record["metrics"] == ordinary.record["metrics"]
    assert first.record["claims"] == second.record["claims"] == ordinary.record["claims"]


def test_nbval_runs_chapters_in_warm_kernels(project, run, warm_server):
    asks = "import os\nassert 'forkserver' in open(f'/proc/{os.getppid()}/cmdline').read()"
    path = write_chapter(project.root, BEGIN, asks, "chapter.claim('Size: size', size, above=0)")
    done, _ = run()
    from workbench.parameters.contract import load_contract

    accept_run(project, load_contract(project, "toy"), done.id)
    assert nbval([path], cell_limit=60) == 0
    notebook = json.loads(path.read_text())
    notebook["cells"][1]["source"] = "".join(notebook["cells"][1]["source"]).replace("size: Count = 3", "size: int = 0")
    path.write_text(json.dumps(notebook))
    assert nbval([path], cell_limit=60) == 1


def test_the_environment_of_a_kernel_is_as_given_and_its_modules_are_not_ours(kernel):
    ask = "import json, os, threadpoolctl as _; alone = os.getsid(0) == os.getpid(); "
    ask += "print(json.dumps([dict(os.environ), os.getcwd(), alone]))"
    ours = "import sys; print([m for m in sys.modules if m.split('.')[0] in ('workbench', 'largemodels')])"
    forked = kernel(WORD="of mine")
    with cold():
        ordinary = kernel(WORD="of mine")
    assert (forked.forked, ordinary.forked) == (True, False)
    given, expected = (json.loads(each.run(ask)) for each in (forked, ordinary))
    assert given[0].pop("JPY_PARENT_PID") != expected[0].pop("JPY_PARENT_PID")
    assert given[0].items() ^ expected[0].items() == set()
    assert given[1:] == expected[1:]
    assert given[0]["WORD"] == "of mine"
    assert forked.run(ours) == "[]"
    paths = "import sys; print(sys.path, sys.argv[0])"
    assert forked.run(paths) == ordinary.run(paths)


def test_no_two_kernels_draw_the_same_numbers_unless_they_are_seeded(kernel):
    draw = """if True:
        import random, multiprocessing, numpy, torch
        key = multiprocessing.current_process().authkey.hex()
        print(random.random(), numpy.random.random(), torch.rand(1).item(), key)
    """
    first, second = (kernel().run(draw).split() for _ in range(2))
    assert len(first) == len(second) == 4
    assert set(first).isdisjoint(second)


def test_tables_are_laid_out_as_in_an_ordinary_kernel(kernel):
    ask = "import pandas as pd; print({o: pd.get_option(o) for o in ('display.width', 'display.max_columns')})"
    forked = kernel()
    with cold():
        ordinary = kernel()
    assert forked.run(ask) == ordinary.run(ask)


def test_figures_are_shown(kernel):
    shown = []
    kernel().client.execute_interactive(
        "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
        timeout=60,
        output_hook=lambda message: shown.extend(message["content"].get("data", {})),
    )
    assert "image/png" in shown


def test_an_interrupt_ends_the_cell_and_not_the_kernel(kernel):
    asked = kernel()
    sleep = "print('awake', flush=True); import time; time.sleep(60)"
    identity = asked.client.execute(sleep, stop_on_error=False)  # or a kernel refuses what comes soon after
    until(lambda: asked.client.get_iopub_msg(timeout=30)["content"].get("text", "").startswith("awake"))
    asked.manager.interrupt_kernel()
    replies = iter(lambda: asked.client.get_shell_msg(timeout=30), None)  # to earlier questions as well
    reply = next(reply for reply in replies if reply["parent_header"]["msg_id"] == identity)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert asked.run("print(6 * 7)") == "42"


def test_a_restarted_kernel_is_a_new_one(kernel):
    asked = kernel()
    before = asked.process.pid
    asked.run("value = 1")
    asked.client.stop_channels()
    asked.manager.restart_kernel(now=True)
    asked.connect()
    assert asked.forked
    assert asked.process.pid != before
    assert gone(before)
    assert asked.run("print('value' in globals())") == "False"


@pytest.mark.parametrize(
    ("code", "expected"),
    [("os.kill(os.getpid(), 9)", -9), ("os._exit(7)", 7), ("os.killpg(0, 15)", -15)],
)
def test_the_end_of_a_kernel_is_noticed_with_its_exit_code(kernel, code, expected):
    asked = kernel()
    pid = asked.process.pid
    asked.client.execute(f"import os; {code}")
    until(lambda: not asked.manager.is_alive())
    assert asked.process.poll() == expected
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_kernel_killed_in_the_middle_of_a_run_is_a_failed_run(project, run, warm_server):
    write_chapter(project.root, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    done, _ = run()
    assert done.status == "failed"
    assert "DeadKernelError" in done.record["error"]["name"]


def test_what_a_kernel_says_of_itself_is_beside_the_run(project, run, warm_server, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # which makes ipykernel leave the descriptors alone
    write_chapter(project.root, "import os, sys\nos.write(sys.stderr._original_stdstream_copy, b'of itself')", PARENT)
    done, _ = run()
    assert done.record["error"] is None
    assert "forkserver" in done.notebook.read_text()
    assert (done.folder / "kernel.log").read_text() == "of itself"


def test_what_a_kernel_has_started_ends_with_it(kernel):
    asked = kernel()
    child = int(asked.run("import subprocess; print(subprocess.Popen(['sleep', '1000']).pid)"))
    assert not gone(child)
    asked.client.execute("import os; os._exit(0)")
    until(lambda: not asked.manager.is_alive())
    until(lambda: gone(child))


OWNER = """
import subprocess, time, workbench.kernels.provisioner
from jupyter_client.manager import start_new_kernel
from workbench.core.secrets import Secrets
from workbench.kernels.warm import warm_kernels
with warm_kernels() as server:
    {prepare}
    manager, client = start_new_kernel(env=Secrets().kernel_environment())
    print(server and server.process.pid, server and server.folder, manager.provisioner.pid, flush=True)
    client.execute("import time; time.sleep(1000)")
    time.sleep(1000)
"""


def start_owner(**environment: str) -> tuple[subprocess.Popen, list[str]]:
    """A process that keeps a server and has a busy kernel, and what it says of them."""
    command = [sys.executable, "-c", OWNER.format(prepare="")]
    environ = {**Secrets().kernel_environment(), **environment}
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ)
    return owner, owner.stdout.readline().split()


def test_nothing_survives_the_command_that_owned_the_server():
    with cold():
        owner, (server, folder, forked) = start_owner()
    assert not gone(int(server))
    assert not gone(int(forked))
    owner.kill()
    owner.communicate()
    until(lambda: gone(int(server)) and gone(int(forked)) and not Path(folder).exists())


def test_a_server_whose_owner_dies_while_it_imports_ends_too():
    with cold():
        command = [sys.executable, "-c", OWNER.format(prepare="print(server.process.pid, server.folder, flush=True)")]
        owner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    server, folder = owner.stdout.readline().split()
    time.sleep(0.5)
    owner.kill()
    owner.communicate()
    until(lambda: gone(int(server)) and not Path(folder).exists())


def test_a_kernel_does_not_survive_who_asked_for_it(warm_server):
    asker, (_, _, forked) = start_owner()  # the environment names the server of this module
    assert "forkserver" in Path(f"/proc/{Path(f'/proc/{forked}/stat').read_text().split()[3]}/cmdline").read_text()
    asker.kill()
    asker.communicate()
    until(lambda: gone(int(forked)))
    assert warm_server.process.poll() is None


def test_a_kernel_does_not_survive_the_server_and_then_ordinary_ones_are_started():
    with cold(), warm_kernels() as server:
        first = Kernel()
        assert first.forked
        server.process.kill()
        until(lambda: not first.manager.is_alive())
        assert first.process.poll() == -signal.SIGKILL
        first.stop()
        second = Kernel()
        assert not second.forked
        assert second.run("print(6 * 7)") == "42"
        second.stop()
    assert not Path(server.folder).exists()


def test_secrets_of_the_command_reach_no_kernel(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_averysecretone")
    with cold(), warm_kernels() as server:
        asked = Kernel()
        assert asked.forked
        seen = asked.run("import os; print(dict(os.environ), open('/proc/self/environ').read())")
        asked.stop()
        assert "hf_averysecretone" not in seen
        assert "hf_averysecretone" not in Path(f"/proc/{server.process.pid}/environ").read_text()


def test_only_this_user_can_reach_the_server(warm_server):
    assert Path(warm_server.folder).stat().st_mode & 0o777 == 0o700


def ask(command: list[str] | None = None, stdout=None, **environment: str) -> ForkedKernel | None:
    """What comes of asking for a kernel, without a client that speaks with it."""
    command = command or [sys.executable, "-m", "ipykernel_launcher", "-f", "/nowhere/kernel.json"]
    given = {**Secrets().kernel_environment(), **environment}
    return asyncio.run(fork_kernel(command, given, "/", (subprocess.DEVNULL, stdout, subprocess.DEVNULL)))


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"PYTHONHASHSEED": "1"}, "the environment differs: PYTHONHASHSEED"),
        ({"HOME": "/nowhere", "LC_ALL": "tr_TR"}, "the environment differs: HOME, LC_ALL"),
        ({"MPLBACKEND": "agg"}, "MPLBACKEND names another backend"),
        ({"OMP_NUM_THREADS": "2,1"}, "OMP_NUM_THREADS is not a number"),
        ({"command": ["/usr/bin/python3", "-m", "ipykernel_launcher", "-f", "x"]}, "the kernel is another one"),
        ({"command": [sys.executable, "-m", "xeus", "-f", "x"]}, "the kernel is another one"),
        ({"stdout": subprocess.PIPE}, "a stream is a pipe to be made"),
        ({ADDRESS: "/nowhere"}, "No such file"),
    ],
)
def test_what_cannot_be_served_is_left_to_an_ordinary_kernel_and_said_once(
    warm_server, caplog, monkeypatch, wish, reason
):
    monkeypatch.setattr(warm, "_said", set())
    monkeypatch.setenv(ADDRESS, wish.pop(ADDRESS, os.environ[ADDRESS]))
    with caplog.at_level(logging.DEBUG, "workbench.kernels.warm"):
        assert ask(**wish) is None
        assert ask(**wish) is None
    (said,) = caplog.records
    assert reason in said.getMessage()
    assert said.levelno == logging.DEBUG


def test_a_thread_or_cuda_in_the_server_is_refused(monkeypatch, tmp_path):
    import torch

    listener, other = socket.socketpair()
    lifeline, end = os.pipe()
    forker = forkserver._Forker(listener.detach(), lifeline, str(tmp_path), [])
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "x"]
    request = {"command": command, "environment": dict(os.environ), "inherited": warm.inherited()}

    def refused() -> str | None:
        return forker._reason_against(request, [0, 1, 2], os.getpid(), os.getuid())

    monkeypatch.delenv("MPLBACKEND", raising=False)
    monkeypatch.setattr(forkserver, "_threads", lambda: 1)
    assert refused() is None
    assert forker._reason_against(request, [0, 1, 2], os.getpid(), os.getuid() + 1) == "another user asks"
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert refused() == "CUDA is initialised"
    monkeypatch.setattr(forkserver, "_threads", lambda: 2)
    assert refused() == "a thread runs in the server"
    forker._installation = []
    assert refused() == "what is installed has changed"
    other.close()
    os.close(end)
    os.close(lifeline)


def test_nonsense_on_the_socket_does_not_end_the_server(warm_server, kernel):
    for nonsense in (b"", b"{}\n", b"\xff\n", b"[1]\n", b'{"command": 3}\n'):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(warm_server.address)
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(100)
    assert kernel().forked


def test_a_server_that_is_named_already_is_used(warm_server):
    with warm_kernels() as inner:
        assert inner is None
        assert os.environ[ADDRESS] == warm_server.address
    assert os.environ[ADDRESS] == warm_server.address


def test_a_name_without_a_server_is_replaced(warm_server, monkeypatch):
    monkeypatch.setenv(ADDRESS, "/nowhere")
    with warm_kernels() as server:
        assert os.environ[ADDRESS] == server.address
        assert os.environ[CHOICE] == NAME
    assert os.environ[ADDRESS] == "/nowhere"
    assert not Path(server.folder).exists()


def test_where_no_server_can_be_kept_kernels_are_ordinary(monkeypatch):
    def fails(**_):
        raise OSError("no room")

    monkeypatch.setattr(tempfile, "mkdtemp", fails)
    with cold(), warm_kernels() as server:
        assert server is None
        assert ADDRESS not in os.environ


def test_libraries_see_that_they_are_imported_into_a_notebook():
    look = "import sys; loaded = 'transformers.trainer' in sys.modules; import transformers.trainer as t"
    look += "; print(loaded, t.DEFAULT_PROGRESS_CALLBACK.__name__)"
    with cold(), warm_kernels(["transformers"]):
        asked = Kernel()
        assert asked.run(look).splitlines()[-1] == "True NotebookProgressCallback"
        asked.stop()


def test_the_command_keeps_a_server_until_ctrl_c(project):
    command = [sys.executable, "-m", "workbench.cli.app", "warm"]
    with cold():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = [process.stdout.readline().strip() for _ in range(2)]
    assert lines[0] == f"export {CHOICE}={NAME} PYTHONHASHSEED=0"
    address = lines[1].removeprefix(f"export {ADDRESS}=")
    environ = {**os.environ, CHOICE: NAME, "PYTHONHASHSEED": "0", ADDRESS: address}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(PARENT)],
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
    )
    nbformat.write(notebook, "asks.ipynb")
    papermill = [sys.executable, "-m", "papermill", "asks.ipynb", "out.ipynb", "--no-progress-bar"]
    subprocess.run(papermill, env=environ, check=True, capture_output=True, timeout=120)
    assert "workbench.kernels.forkserver" in Path("out.ipynb").read_text()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert not Path(address).parent.exists()


def test_the_command_has_help_with_examples(workbench):
    assert "workbench warm --with transformers" in workbench("warm", "--help").stdout


def test_the_command_refuses_a_library_that_it_does_not_know(workbench):
    result = workbench("warm", "--with", "tensorflow")
    assert result.returncode == 2
    assert result.stderr.startswith("workbench: --with tensorflow is not one of sklearn, transformers, datasets")


def test_the_distribution_names_the_provisioner(root):
    import tomllib

    points = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]
    module, _, name = points["jupyter_client.kernel_provisioners"][NAME].partition(":")
    assert getattr(sys.modules[module], name) is workbench.kernels.provisioner.WarmProvisioner
