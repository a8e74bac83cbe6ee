"""What a kernel uses of the machine, with what it starts."""

from __future__ import annotations

import subprocess
import sys
import time

from workbench.runs.engine import Usage

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
