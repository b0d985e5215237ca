"""What a tool can ask while it runs: which call this is, and to tell how far it is.

A context variable rather than a parameter: each call runs in a task of its own, and a tool's
signature is its schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class _Call:
    __slots__ = ("id", "tell")

    def __init__(self, call_id: str, tell: Callable[[str], object]) -> None:
        self.id = call_id
        self.tell = tell


_OUTSIDE = _Call("", lambda _: None)
_call: ContextVar[_Call] = ContextVar("call", default=_OUTSIDE)


@contextmanager
def calling(call_id: str, tell: Callable[[str], object]) -> Iterator[None]:
    """For the length of one tool call; ``tell`` gets what the tool says of its progress."""
    token = _call.set(_Call(call_id, tell))
    try:
        yield
    finally:
        _call.reset(token)


def call_id() -> str:
    """The id of the tool call that runs, "" outside of one."""
    return _call.get().id


def progress(text: str) -> None:
    """Tell those who watch how far the call is: one line or a piece of output."""
    _call.get().tell(text)


class ParkedCall(BaseException):
    """The call waits for a human: its turn stands still, and makes the call anew when it goes on.

    No ``Exception``, so that no tool that catches its own failures swallows it.
    """
