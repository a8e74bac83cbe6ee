"""How long a kernel takes until it has the stack imported: an ordinary one, and one forked from a warm process.

    python benchmarks/warm_kernels.py

Each figure is the median of five, the two sides interleaved in one run. A kernel is ready when a cell that imports the
stack has ended. The first warm kernel waits for the server's own imports.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory

from workbench.core.secrets import Secrets
from workbench.kernels.provisioner import ForkedKernel
from workbench.kernels.warm import CHOICE, warm_kernels

REPEATS = 5
STACK = "import numpy, pandas, scipy.stats, torch; import matplotlib.pyplot as plt"


def seconds(name: str) -> tuple[float, float, float]:
    """Seconds until a kernel answers, until it has the stack imported, and memory that it shares with none (MiB)."""
    folder = tempfile.mkdtemp(prefix="kernel-")
    start = time.perf_counter()
    manager = KernelManager(transport="ipc", connection_file=str(Path(folder) / "kernel.json"))
    os.environ[CHOICE] = name
    KernelProvisionerFactory.clear_instance()
    manager.start_kernel(env=Secrets().kernel_environment())
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    answered = time.perf_counter() - start
    reply = client.execute_interactive(STACK, timeout=120, output_hook=lambda _: None)
    ready = time.perf_counter() - start
    assert reply["content"]["status"] == "ok"
    assert isinstance(manager.provisioner.process, ForkedKernel) == (name != "local-provisioner")
    own = psutil.Process(manager.provisioner.pid).memory_full_info().uss / 2**20
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    shutil.rmtree(folder)
    return answered, ready, own


def main() -> None:
    if sys.platform != "linux":
        print("kernels are forked on Linux only")
        return
    with warm_kernels() as server:
        first = seconds("workbench-warm")
        measured: dict[str, list] = {"local-provisioner": [], "workbench-warm": []}
        for _ in range(REPEATS):
            for name, values in measured.items():
                values.append(seconds(name))
        print(f"{'first warm kernel':<26} ready after {first[1]:5.2f} s")
        for name, label in (("local-provisioner", "ordinary kernel"), ("workbench-warm", "second and later warm")):
            answered, ready, own = (statistics.median(column) for column in zip(*measured[name], strict=True))
            spread = [value[1] for value in measured[name]]
            print(
                f"{label:<26} ready after {ready:5.2f} s ({min(spread):.2f} to {max(spread):.2f}), "
                f"answers after {answered:.2f} s, {own:.0f} MiB that it shares with none"
            )
        ordinary, warm = (statistics.median(value[1] for value in values) for values in measured.values())
        print(f"ordinary over warm: ratio {ordinary / warm:.1f}")
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        print(f"the server holds {sum(process.memory_info().rss for process in processes) / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
