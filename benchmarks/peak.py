"""The rate that matrix products reach here, by which the other benchmarks measure trainings.

Run as `python benchmarks/peak.py`.
"""

import time

import torch


def peak(size: int = 2048, repetitions: int = 5) -> float:
    """Floating-point operations a second in a square matrix product, the best of a few."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


if __name__ == "__main__":
    print(f"{peak() / 1e9:.0f} GFLOP/s in float32, {torch.get_num_threads()} threads")
