"""Warm kernels: they compute what ordinary ones do, behave as they do, and outlive nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import KernelManager

from toy_project import write_chapter
from workbench.book.check import nbval
from workbench.core.secrets import Secrets
from workbench.kernels.provisioner import ForkedKernel, fork_kernel
from workbench.kernels.server import check
from workbench.kernels.warm import ADDRESS, CHOICE, LIBRARIES, _choose, warm_kernels
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
    address = os.environ.get(ADDRESS)
    _choose(None)
    yield
    _choose(address)


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

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture
def kernel(warm_server) -> Iterator[Callable]:
    """Start kernels that end with the test."""
    with contextlib.ExitStack() as ends:

        def start(**environment: str) -> Kernel:
            started = Kernel(**environment)
            ends.callback(started.close)
            return started

        yield start


def until(holds: Callable[[], object], seconds: float = 120) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + seconds
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
    monkeypatch.delenv("OMP_NUM_THREADS")
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    write_chapter(project.root, BEGIN, RANDOM, CLAIM, PARENT)
    first, second = run(force=True)[0], run(force=True)[0]
    with cold():
        ordinary, _ = run(force=True)
    assert "multiprocessing.forkserver" in second.notebook.read_text()
    assert "multiprocessing.forkserver" not in ordinary.notebook.read_text()
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


def test_a_kernel_is_in_the_state_of_an_ordinary_one(kernel):
    ask = """if True:
        import json, multiprocessing, os, signal, sys, pandas, threadpoolctl
        print(json.dumps([
            dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), sys.path, sys.argv[0], __name__,
            [name for name in sys.modules if name.partition(".")[0] in ("workbench", "largemodels")],
            multiprocessing.get_start_method(), multiprocessing.current_process().name,
            multiprocessing.parent_process(), multiprocessing.Process().name, sys.__stdin__.closed,
            str(signal.getsignal(signal.SIGINT)), [pandas.get_option("display." + o) for o in ("width", "max_columns")],
        ]))
    """
    forked = kernel(WORD="of mine")
    with cold():
        ordinary = kernel(WORD="of mine")
    assert (forked.forked, ordinary.forked) == (True, False)
    states = [json.loads(each.run(ask)) for each in (forked, ordinary)]
    environments = [state[0] for state in states]
    for environment in environments:
        assert environment.pop("WORD") == "of mine"
        for name in (CHOICE, ADDRESS, "JPY_PARENT_PID"):
            environment.pop(name, None)
    assert environments[0] == environments[1]
    assert states[0] == states[1]


def test_no_two_kernels_draw_the_same_numbers_unless_they_are_seeded(kernel):
    draw = """if True:
        import random, multiprocessing, numpy, torch
        key = multiprocessing.current_process().authkey.hex()
        print(random.random(), numpy.random.random(), torch.rand(1).item(), key)
    """
    first, second = (kernel().run(draw).split() for _ in range(2))
    assert len(first) == len(second) == 4
    assert set(first).isdisjoint(second)


def test_figures_are_shown(kernel):
    shown = []
    kernel().client.execute_interactive(
        "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
        timeout=60,
        output_hook=lambda message: shown.extend(message["content"].get("data", {})),
    )
    assert "image/png" in shown


def test_an_interrupt_ends_the_cell_and_not_the_kernel(kernel):
    started = kernel()
    sleep = "print('awake', flush=True); import time; time.sleep(60)"
    identity = started.client.execute(sleep, stop_on_error=False)  # or a kernel refuses what comes soon after
    until(lambda: started.client.get_iopub_msg(timeout=30)["content"].get("text", "").startswith("awake"))
    started.manager.interrupt_kernel()
    replies = iter(lambda: started.client.get_shell_msg(timeout=30), None)  # to earlier questions as well
    reply = next(reply for reply in replies if reply["parent_header"]["msg_id"] == identity)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert started.run("print(6 * 7)") == "42"


def test_a_restarted_kernel_is_a_new_one(kernel):
    started = kernel()
    before = started.process.pid
    started.run("value = 1")
    started.client.stop_channels()
    started.manager.restart_kernel(now=True)
    started.connect()
    assert started.forked
    assert started.process.pid != before
    assert gone(before)
    assert started.run("print('value' in globals())") == "False"


@pytest.mark.parametrize(
    ("code", "expected"),
    [("os.kill(os.getpid(), 9)", -9), ("os._exit(7)", 7), ("os.killpg(0, 15)", -15)],
)
def test_the_end_of_a_kernel_is_noticed_with_its_exit_code(kernel, code, expected):
    started = kernel()
    pid = started.process.pid
    started.client.execute(f"import os; {code}")
    until(lambda: not started.manager.is_alive())
    assert started.process.poll() == expected
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
    shut_down = "[IPKernelApp] ERROR | KeyboardInterrupt caught in kernel.\n"  # what a slow machine's kernel may add
    assert (done.folder / "kernel.log").read_text().removesuffix(shut_down) == "of itself"


def test_what_a_kernel_has_started_ends_with_it(kernel):
    started = kernel()
    child = int(started.run("import subprocess; print(subprocess.Popen(['sleep', '1000']).pid)"))
    assert not gone(child)
    started.client.execute("import os; os._exit(0)")
    until(lambda: not started.manager.is_alive())
    until(lambda: gone(child))


OWNER = """
import time
from jupyter_client.manager import start_new_kernel
from workbench.core.secrets import Secrets
from workbench.kernels.warm import warm_kernels
with warm_kernels() as server:
    {first}
    manager, client = start_new_kernel(env=Secrets().kernel_environment())
    client.execute("import subprocess, time; subprocess.Popen(['sleep', '1000']); time.sleep(1000)")
    print(server and server.pid, manager.provisioner.pid, flush=True)
    while True:
        manager.is_alive()
        time.sleep(0.1)
"""


def start_owner(first: str = "") -> tuple[subprocess.Popen, list[psutil.Process]]:
    """A process with a busy kernel and, where the environment names none, a server; the processes that it tells of."""
    command = [sys.executable, "-c", OWNER.format(first=first)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    pids = [int(word) for word in owner.stdout.readline().split() if word != "None"]
    return owner, [psutil.Process(pid) for pid in pids]


@pytest.mark.parametrize("killed", ["command", "server", "fork server", "kernel"])
def test_nothing_of_a_kernel_is_left_where_it_or_what_it_hangs_on_is_killed(killed):
    with cold():
        owner, (server, forked) = start_owner()
    fork_server = forked.parent()
    assert fork_server.parent() == server
    folder = Path(server.cwd())
    until(forked.children)
    family = [forked, *forked.children()]
    if killed in ("command", "server"):
        family += [server, *server.children()]
    victims = {"command": owner, "server": server, "fork server": fork_server, "kernel": forked}
    victims[killed].kill()
    until(lambda: all(gone(process.pid) for process in family))
    if killed == "command":
        assert not folder.exists()
    owner.terminate()
    owner.communicate()
    until(lambda: gone(server.pid), seconds=5)


def test_a_server_whose_command_dies_while_it_imports_ends_too():
    with cold():
        owner, (server,) = start_owner(first="print(server.pid, flush=True)")
    until(server.children)
    family, folder = [server, *server.children()], Path(server.cwd())
    owner.kill()
    owner.communicate()
    until(lambda: all(gone(process.pid) for process in family))
    assert not folder.exists()


def test_a_kernel_does_not_survive_the_process_that_wanted_it(warm_server):
    other, (forked,) = start_owner()  # the environment names the server of this module
    assert psutil.Process(warm_server.pid) in forked.parents()
    other.kill()
    other.communicate()
    until(lambda: gone(forked.pid), seconds=5)
    assert warm_server.poll() is None


def test_where_the_server_has_ended_ordinary_kernels_are_started():
    with cold(), warm_kernels() as server:
        folder = Path(os.environ[ADDRESS]).parent
        server.kill()
        server.wait()
        with contextlib.closing(Kernel()) as started:
            assert not started.forked
            assert started.run("print(6 * 7)") == "42"
    assert not folder.exists()


def test_the_socket_of_the_fork_server_is_in_the_folder_that_goes():
    with cold(), warm_kernels():
        folder = Path(os.environ[ADDRESS]).parent
        until(lambda: list(folder.glob("listener-*")), seconds=15)
    assert not folder.exists()


def test_secrets_of_the_command_reach_no_kernel(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_averysecretone")
    with cold(), warm_kernels() as server, contextlib.closing(Kernel()) as started:
        assert started.forked
        seen = started.run("import os; print(dict(os.environ), open('/proc/self/environ').read())")
        assert "PYTHONHASHSEED" in seen
        assert "hf_averysecretone" not in seen
        for process in [psutil.Process(server.pid), *psutil.Process(server.pid).children()]:
            assert "hf_averysecretone" not in process.environ().values()


def test_only_this_user_can_reach_the_server(warm_server):
    assert Path(os.environ[ADDRESS]).parent.stat().st_mode & 0o777 == 0o700


COMMAND = [sys.executable, "-m", "ipykernel_launcher", "-f", "/nowhere/kernel.json"]


@pytest.mark.parametrize(
    ("command", "variables", "reason"),
    [
        (COMMAND, {"PYTHONHASHSEED": "1"}, "the environment differs: PYTHONHASHSEED"),
        (COMMAND, {"HOME": "/nowhere", "LC_ALL": "tr_TR"}, "the environment differs: HOME, LC_ALL"),
        (COMMAND, {"MPLBACKEND": "agg"}, "the environment differs: MPLBACKEND"),
        (["/usr/bin/python3", *COMMAND[1:]], {}, "the kernel is another one"),
        ([sys.executable, "-O", *COMMAND[1:]], {}, "the kernel is another one"),
        ([sys.executable, "-m", "xeus", "-f", "x"], {}, "the kernel is another one"),
    ],
)
def test_a_kernel_that_would_differ_is_refused(monkeypatch, command, variables, reason):
    monkeypatch.delenv("MPLBACKEND", raising=False)
    check(COMMAND, {**os.environ, "WORD": "of mine", "OMP_NUM_THREADS": "1"})
    with pytest.raises(ValueError, match=reason):
        check(command, {**os.environ, **variables})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"env": {"OMP_NUM_THREADS": "2,1"}}, "invalid literal for int"),
        ({"env": {"PYTHONHASHSEED": "1"}}, "the environment differs"),
        ({"cwd": "/nowhere"}, "No such file"),
        ({"stdout": subprocess.PIPE}, "Bad file descriptor"),
    ],
)
def test_what_cannot_be_forked_says_why(warm_server, options, reason):
    options["env"] = {**Secrets().kernel_environment(), **options.get("env", {})}
    # In a thread: where a browser's tests came before, a loop runs in this one.
    with ThreadPoolExecutor(1) as thread, pytest.raises(OSError, match=reason):
        thread.submit(asyncio.run, fork_kernel(COMMAND, **options)).result()


def test_a_refused_kernel_is_an_ordinary_one_and_only_the_debug_log_tells(kernel, caplog, capfd):
    with caplog.at_level(logging.DEBUG, "workbench"):
        assert not kernel(MPLBACKEND="agg").forked
    (said,) = caplog.records
    assert (said.levelno, said.name) == (logging.DEBUG, "workbench.kernels.warm")
    assert "the environment differs: MPLBACKEND" in said.getMessage()
    assert capfd.readouterr() == ("", "")


def test_a_thread_or_cuda_in_the_fork_server_is_refused():
    script = """if True:
        import os, threading, torch
        from workbench.kernels import forked

        def refusal():
            if os.fork():
                return os.wait()
            try:
                forked._check_server(os.getppid())
                print("none", flush=True)
            except RuntimeError as error:
                print(error, flush=True)
            os._exit(0)

        refusal()
        torch.cuda._is_in_bad_fork = lambda: True
        refusal()
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        refusal()
    """
    environment = {**os.environ, LIBRARIES: ""}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["none", "CUDA is initialised", "a thread runs in the fork server"]


def test_functions_registered_for_the_end_of_a_kernel_run(kernel, tmp_path):
    started = kernel()
    started.run(f"import atexit, pathlib; atexit.register(pathlib.Path({str(tmp_path / 'end')!r}).touch)")
    started.manager.shutdown_kernel()
    assert (tmp_path / "end").exists()


def test_nonsense_on_the_socket_does_not_end_the_server(warm_server, kernel):
    for nonsense in (b"", b"{}\n", b"\xff\n", b"[1]\n", b'{"command": 3}\n'):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.environ[ADDRESS])
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(100)
    assert kernel().forked


def test_a_server_that_is_chosen_already_is_used(warm_server):
    before = os.environ[ADDRESS]
    with warm_kernels() as inner:
        assert inner is None
        assert os.environ[ADDRESS] == before
    assert os.environ[ADDRESS] == before


def test_where_no_server_can_be_kept_kernels_are_ordinary(monkeypatch):
    def fails(*_):
        raise OSError("no room")

    monkeypatch.setattr(tempfile, "mkdtemp", fails)
    with cold(), warm_kernels() as server:
        assert server is None
        assert ADDRESS not in os.environ


def test_libraries_see_that_they_are_imported_into_a_notebook():
    look = "import sys; loaded = 'transformers.trainer' in sys.modules; import transformers.trainer as t"
    look += "; print(loaded, t.DEFAULT_PROGRESS_CALLBACK.__name__)"
    with cold(), warm_kernels(["transformers"]), contextlib.closing(Kernel()) as started:
        assert started.run(look).splitlines()[-1] == "True NotebookProgressCallback"


def test_the_folder_of_a_killed_command_s_server_is_removed_by_the_next(monkeypatch, tmp_path):
    monkeypatch.delenv(CHOICE, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    killed = "import os; from workbench.kernels.warm import warm_kernels\nwith warm_kernels(): os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", killed], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with warm_kernels():
        pass
    assert not list(tmp_path.iterdir())


def test_a_server_whose_folder_is_gone_still_ends_with_the_command(monkeypatch):
    monkeypatch.delenv(CHOICE, raising=False)
    with warm_kernels() as server:
        shutil.rmtree(Path(os.environ[ADDRESS]).parent)
    assert server.poll() is not None
