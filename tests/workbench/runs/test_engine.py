"""What a kernel uses of the machine, with what it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil

from workbench.core import files
from workbench.core.files import remove_left_temporaries, temporary_prefix
from workbench.runs.engine import Usage, _Client

STARTS_THREE = """
import subprocess, sys
for _ in range(3):
    subprocess.run([sys.executable, "-S", "-c", "import time\\nwhile time.process_time() < 0.5: pass"], check=True)
print("done", flush=True)
sys.stdin.read()
"""


def test_processor_time_includes_children_that_have_ended():
    usage = Usage()
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_THREE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as kernel:
        usage.follow(kernel.pid)
        kernel.stdout.readline()
        time.sleep(1)  # a few samples
        usage.stop()
        kernel.communicate()
    assert 1.5 <= usage.cpu_seconds < 3
    assert usage.peak_bytes > 1e6


def test_a_kernel_whose_clean_up_was_cut_short_is_killed_with_what_it_started():
    starts_one = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    with subprocess.Popen([sys.executable, "-c", starts_one]) as kernel:
        client = _Client.__new__(_Client)
        client._kernel = psutil.Process(kernel.pid)
        deadline = time.monotonic() + 20
        while not (family := client._kernel.children(recursive=True)) and time.monotonic() < deadline:
            time.sleep(0.05)
        client._kill_kernel()
        assert kernel.wait(5) != 0
    assert family
    psutil.wait_procs(family, 5)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in family)


def test_temporary_folders_of_processes_that_are_gone_are_removed_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    gone, ours, another = (
        tmp_path / f"workbench-{files._here()}-{name}-x" for name in (ended.pid, os.getpid(), "book")
    )
    for folder in (gone, ours, another):
        folder.mkdir()
    remove_left_temporaries()
    assert [gone.exists(), ours.exists(), another.exists()] == [False, True, True]
    assert ours.name.startswith(temporary_prefix())
