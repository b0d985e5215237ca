"""A limit in seconds for something that watches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watch:
    """Whether the time is over."""

    over = False


@contextmanager
def stopped_after(seconds: float | None, stop: Callable[[], None]) -> Iterator[Watch]:
    """Call ``stop`` when the body takes longer than ``seconds``; None is no limit."""
    watch = Watch()
    if seconds is None:
        yield watch
        return

    def fire() -> None:
        watch.over = True
        stop()

    timer = threading.Timer(seconds, fire)
    timer.daemon = True
    timer.start()
    try:
        yield watch
    finally:
        timer.cancel()
