"""Memory that was used once goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FLOOD = """
import os, sys
if sys.argv[1] == "clawd":
    from clawd.daemon.allocation import give_back
    give_back()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024**2

bytes(30 * 1024**2)  # the allocator takes this for the usual size from now on
before = resident()
kept = []
for _ in range(200):
    large = [b"x" * 400_000 for _ in range(2)]
    kept.append(b"y" * 20_000)
    if len(kept) % 50:
        kept.append(large[0])
small = [each for each in kept if len(each) == 20_000]
del kept, large
print(resident() - before)
"""


def left_over(by: str) -> int:
    """MiB that a process still has of what it has freed."""
    done = subprocess.run(
        [sys.executable, "-c", FLOOD, by], check=True, capture_output=True, text=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this is about glibc's allocator")
def test_what_a_flood_took_is_given_back() -> None:
    """Small things that outlive a flood do not keep the memory in between."""
    assert left_over("nothing") > 40
    assert left_over("clawd") < 12
