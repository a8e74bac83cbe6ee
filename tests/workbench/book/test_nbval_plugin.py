"""A kernel that ended is noticed, with what its exit code tells, and one that lives is waited for."""

from __future__ import annotations

import queue
from types import SimpleNamespace

import pytest

from workbench.book.nbval_plugin import KernelEnded, WatchedKernel


class Kernel(WatchedKernel):
    """A kernel that says nothing more, with the exit code of its process."""

    def __init__(self, code: int | None) -> None:
        self.code, self.looks = code, 0
        self.km = SimpleNamespace(provisioner=SimpleNamespace(process=SimpleNamespace(returncode=code)))
        self.kc = SimpleNamespace(get_shell_msg=self.silence)

    def silence(self, timeout: float) -> None:
        self.looks += 1
        raise queue.Empty

    def is_alive(self) -> bool:
        return self.code is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-9, "its kernel was killed (SIGKILL, which is also how a system ends a process for want of memory)"),
        (-15, "its kernel was killed (SIGTERM)"),
        (3, "its kernel ended"),
        (0, "its kernel ended"),
    ],
)
def test_a_message_of_a_kernel_that_ended_is_not_waited_for(code, said):
    kernel = Kernel(code)
    with pytest.raises(KernelEnded) as ended:
        kernel.get_message("shell", timeout=600)
    assert str(ended.value) == said
    assert kernel.looks == 1, "a last message may have come"


def test_a_kernel_that_lives_is_waited_for_until_the_limit():
    kernel = Kernel(None)
    with pytest.raises(queue.Empty):
        kernel.get_message("shell", timeout=0.05)
    assert kernel.looks > 1
