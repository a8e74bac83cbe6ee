"""A test bench for faults: commands are killed, stopped, starved of disk, lied to and raced, and keep their promises.

    python tests/faults/bench.py --tries 500            a long round (`make faults`)
    python tests/faults/bench.py --first 17 --tries 1   one try again
    python tests/faults/bench.py --sabotage torn-write  a fault put into the tool on purpose, which must be caught

A try is all in its seed: the kind of fault (`kinds`), its moment, the secrets in the environment. What must hold
afterwards stands in `tries`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "workbench")]

from kinds import KINDS  # noqa: E402
from sabotage import SABOTAGES  # noqa: E402
from tries import Broken, Try  # noqa: E402


def attempt(seed: int, kind: str | None = None, sabotage: str | None = None) -> tuple[str, str | None]:
    """The kind of a try, and what was not kept, or None."""
    names = list(KINDS)
    kind = kind or names[seed % len(names)]
    folder = Path(tempfile.mkdtemp(prefix=f"wf{seed}-"))
    each = Try(seed, kind, folder, sabotage)
    try:
        if sabotage:
            (folder / "sabotage").mkdir()
            (folder / "sabotage" / "sitecustomize.py").write_text(SABOTAGES[sabotage])
        KINDS[kind](each)
    except Broken as broken:
        return kind, str(broken)
    except Exception:
        return kind, traceback.format_exc()
    finally:
        each.clean_up()
    return kind, None


def main() -> int:
    """Make the tries that the command line asks for, and print the counts by kind."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tries", type=int, default=len(KINDS), help="how many (default: one of each kind)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="tries at a time (default: 2)")
    parser.add_argument("--kind", choices=KINDS, help="only this kind")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="put a fault into the tool, which must be caught")
    options = parser.parse_args()
    tried, broken, started = Counter(), Counter(), time.monotonic()
    seeds = range(options.first, options.first + options.tries)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tries = {pool.submit(attempt, seed, options.kind, options.sabotage): seed for seed in seeds}
        try:
            for number, done in enumerate(concurrent.futures.as_completed(tries), 1):
                kind, problem = done.result()
                tried[kind] += 1
                if problem:
                    broken[kind] += 1
                    print(f"try {tries[done]} ({kind}): {problem}", flush=True)
                if number % 25 == 0:
                    print(f"{number} of {options.tries} tries, {time.monotonic() - started:.0f} s", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            print("interrupted; these are the tries that were made")
    for kind in KINDS:
        if tried[kind]:
            print(f"{kind:<20} {tried[kind]:>4} tried {tried[kind] - broken[kind]:>4} survived")
    total = sum(tried.values())
    print(f"{'all':<20} {total:>4} tried {total - sum(broken.values()):>4} survived")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
