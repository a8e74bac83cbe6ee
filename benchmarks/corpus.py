"""How long the docstring corpus takes: fingerprint, first extraction (cold), from the cache.

Run as `python benchmarks/corpus.py`. The cold run uses an empty cache folder of its own.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time

import pandas as pd

from largemodels.data import corpora

IMPORT = "import time; t = time.perf_counter(); from largemodels.data import corpora; print(time.perf_counter() - t)"


def seconds(call):
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    imported = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    _, fingerprint = seconds(corpora.fingerprint)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WORKBENCH_CACHE"] = folder
        used = cpu_seconds()
        frame, cold = seconds(corpora.sentences)
        used = cpu_seconds() - used
        _, cached = seconds(corpora.sentences)
    print(f"import largemodels.data.corpora {float(imported.stdout):6.2f} s")
    print(f"fingerprint                {fingerprint:6.3f} s")
    print(f"cold                       {cold:6.1f} s  ({used:.1f} s of processor time, {os.cpu_count()} cores)")
    print(f"cached                     {cached:6.2f} s")
    labelled = frame["section"].isin(corpora.LABELS).sum()
    print(f"{len(frame):,} sentences, {labelled:,} labelled, {frame['document'].nunique():,} documents")
    with pd.option_context("display.width", 200):
        print(frame.pivot_table(index=["library", "split"], columns="section", values="position", aggfunc="count"))
        print(frame.pivot_table(index="library", columns="style", values="position", aggfunc="count"))


if __name__ == "__main__":
    main()
