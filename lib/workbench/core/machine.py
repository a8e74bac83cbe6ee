"""What a run was made on and with: platform, processor, GPU, versions of the code."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import psutil


@cache
def machine() -> dict[str, Any]:
    """Platform, processor, cores, threads that a run may use, memory and GPUs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": cores,
        "threads": int(os.environ.get("OMP_NUM_THREADS") or cores),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": _gpus(),
    }


def in_words(facts: dict[str, Any]) -> str:
    """A machine in a few words, such as `Linux x86_64, 2 cores, no GPU`."""
    cores = facts["cores"]
    return f"{facts['platform']}, {cores} core{'s' if cores > 1 else ''}, {', '.join(facts['gpus']) or 'no GPU'}"


def git_state(root: Path) -> dict[str, Any]:
    """The checkout's commit and whether files differ from it; None for both where that cannot be told."""
    commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
    changes = _output("git", "-C", str(root), "status", "--porcelain") if commit else None
    return {"commit": commit or None, "dirty": None if changes is None else bool(changes)}


def commit_in_words(git: dict[str, Any]) -> str | None:
    """A checkout's state in a few words, such as `0123456 with changes`; None where there is no commit."""
    return git["commit"] and git["commit"][:7] + (" with changes" if git["dirty"] else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _gpus() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    return (_output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or "").splitlines()


def _output(*command: str) -> str | None:
    """What a command prints, or None where it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
