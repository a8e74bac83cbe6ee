"""A small sweep against a shell loop over `papermill`, and what ten thousand recorded points cost to take up again.

    python benchmarks/sweep.py            both
    python benchmarks/sweep.py loop       16 points of a chapter that trains a tiny BERT, in one go, and the ratio
    python benchmarks/sweep.py records    resuming and summarising 1,000 and 10,000 points, with peak memory

The loop is what a reader would write in a shell: `papermill` once for each point, one after the other. Both sides start
with nothing computed, and their metrics must be equal to the last digit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

SIZES, SEEDS = (16, 32, 64, 128), (0, 1, 2, 3)
PARAMETERS = """\
from workbench.types import Count, Seed

size: Count = 16  # width of the layer
seed: Seed = 0  # of everything random
"""
SETUP = """\
import torch
from transformers import BertConfig, BertForMaskedLM

from workbench.chapter import begin

torch.set_num_threads(1)  # the same sums in the same order on both sides
chapter = begin()
"""
TRAIN = """\
torch.manual_seed(seed)
config = BertConfig(
    vocab_size=64, hidden_size=size, num_hidden_layers=1, num_attention_heads=2, intermediate_size=2 * size
)
network = BertForMaskedLM(config)
tokens = torch.randint(64, (8, 16))
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
for _ in range(10):
    optimizer.zero_grad()
    loss = network(input_ids=tokens, labels=tokens).loss
    loss.backward()
    optimizer.step()
chapter.record("loss", loss)
"""


def write_project(folder: Path) -> None:
    (folder / "notebooks").mkdir()
    (folder / "_toc.yml").touch()
    cells = [
        nbformat.v4.new_code_cell(text, id=f"cell-{place}") for place, text in enumerate((PARAMETERS, SETUP, TRAIN))
    ]
    cells[0].metadata["tags"] = ["parameters"]
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
    nbformat.write(notebook, folder / "notebooks" / "small.ipynb")


def metrics_of(notebook: Path) -> list[dict]:
    from workbench.runs.executed import read_executed

    return read_executed(notebook).metrics


def measured(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - start


def loop_against_sweep() -> None:
    points = [(size, seed) for size in SIZES for seed in SEEDS]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_project(folder)
        grid = ["-g", f"size={','.join(map(str, SIZES))}", "-g", f"seed=0:{len(SEEDS)}"]
        swept = measured(["workbench.cli.app", "sweep", "small", *grid], folder)
        looped, by_loop = 0.0, {}
        for size, seed in points:
            options = ["-p", "size", str(size), "-p", "seed", str(seed), "--no-progress-bar"]
            name = f"out-{size}-{seed}.ipynb"
            looped += measured(["papermill", "notebooks/small.ipynb", name, *options], folder)
            by_loop[size, seed] = metrics_of(folder / name)
        by_sweep, seconds = {}, []
        for path in folder.glob("runs/small/*/run.json"):
            record = json.loads(path.read_text())
            parameters = record["parameters"]["resolved"]
            by_sweep[parameters["size"], parameters["seed"]] = record["metrics"]
            seconds.append(record["seconds"])
    assert by_sweep == by_loop, "the two sides measured different values"
    print(f"{len(points)} points, {os.cpu_count()} cores; all metrics identical")
    print(f"loop over papermill {looped:7.1f} s")
    print(f"workbench sweep     {swept:7.1f} s   runs took {min(seconds):.1f} to {max(seconds):.1f} s each")
    print(f"ratio               {looped / swept:7.1f}")


RESUME = """\
import json, resource, sys, time
from workbench.core.project import find_project
start = time.perf_counter()
from workbench.parameters.contract import load_contract
from workbench.sweeps.grid import points_of
from workbench.sweeps.sweep import Sweep
project = find_project()
contract = load_contract(project, "small")
asked = Sweep.of(project, contract, points_of(contract, sys.argv[1:], [], []))
missing = len(asked.missing())
resumed = time.perf_counter() - start
from workbench.sweeps.summary import summaries, write_results
found = summaries(asked)
write_results(asked, found, "")
took = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([missing, len(found), resumed, took - resumed, peak]))
"""


def write_records(folder: Path, settings: int, seeds: int) -> list[str]:
    """Record a run for every point but the last of this grid, and return the grid."""
    from workbench.core.project import Project
    from workbench.parameters.contract import load_contract
    from workbench.sweeps.grid import points_of
    from workbench.sweeps.sweep import Keys

    project = Project(folder)
    contract = load_contract(project, "small")
    grid = [f"size=1:{settings + 1}", f"seed=0:{seeds}"]
    points = points_of(contract, grid, [], []).points
    keys = Keys(contract, points)
    (template,) = (json.loads(path.read_text()) for path in folder.glob("runs/small/*/run.json"))
    (notebook,) = folder.glob("runs/small/*/small.ipynb")
    for number, (point, key) in enumerate(zip(points, keys.keys, strict=True)):
        if number + 1 == len(points):
            break
        run = (
            folder / "runs" / "small" / f"20260101T{number // 3600:02}{number // 60 % 60:02}{number % 60:02}Z-{key[:8]}"
        )
        run.mkdir()
        metrics = [{**template["metrics"][0], "name": f"metric_{place}", "value": number / 7} for place in range(6)]
        parameters = {"given": point.given, "resolved": point.values}
        changed = {"key": key, "parameters": parameters, "ingredients": keys.ingredients(point), "metrics": metrics}
        (run / "run.json").write_text(json.dumps({**template, **changed}))
        os.link(notebook, run / notebook.name)
    return grid


def take_up_again() -> None:
    print("points   resume   summarise   in all   peak memory")
    for settings in (200, 2_000):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_project(folder)
            measured(["workbench.cli.app", "run", "small", "-p", "seed=99"], folder)
            grid = write_records(folder, settings, 5)
            command = [sys.executable, "-c", RESUME, *grid]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        missing, found, resume, summarise, peak = json.loads(done.stdout.splitlines()[-1])
        assert missing == 1
        assert found >= settings * 6 - 6
        print(f"{settings * 5:6,} {resume:6.1f} s {summarise:9.1f} s {resume + summarise:6.1f} s {peak:9.0f} MiB")


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["loop", "records"]
    if "loop" in wanted:
        loop_against_sweep()
    if "records" in wanted:
        take_up_again()
