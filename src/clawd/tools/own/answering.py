"""What an own function gives, as an answer to a model."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sysconfig
import traceback
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import msgspec

import clawd
from clawd.agent.tool import Answer
from clawd.errors import ClawdError
from clawd.tools.own.threads import in_thread

log = logging.getLogger("clawd.tools")


def answering(function: Callable[..., Any]) -> Callable[..., Awaitable[Answer]]:
    """The function as a coroutine that gives an ``Answer``.

    One that is no coroutine runs in a thread. What it raises is a ``ClawdError`` with the code
    ``tool_failed`` that names the line; a ``ClawdError`` of its own stays as it is.
    """

    @wraps(function)
    async def answer(**given: Any) -> Answer:
        try:
            if inspect.iscoroutinefunction(function):
                result = await function(**given)
            else:
                result = await in_thread(function.__name__, partial(function, **given))
                if inspect.isawaitable(result):
                    result = await result
            return as_answer(result)
        except ClawdError:
            raise
        except Exception as failure:
            log.warning("the tool %s failed", function.__name__, exc_info=failure)
            raise ClawdError(
                "tool_failed", f"{function.__name__}: {told(failure)}", hint="see clawd logs"
            ) from failure
        except (SystemExit, KeyboardInterrupt) as failure:
            raise ClawdError("tool_failed", f"{function.__name__}: {told(failure)}") from failure

    return answer


def as_answer(result: object) -> Answer:
    """A result as what the model reads: a text as it is, anything else as JSON."""
    if isinstance(result, Answer):
        return result
    if isinstance(result, str):
        return Answer(result)
    if result is None:
        return Answer("done")
    plain = msgspec.to_builtins(result, str_keys=True, enc_hook=_plain)
    if isinstance(plain, dict):
        return Answer("", plain)
    return Answer(msgspec.json.encode(plain).decode())


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)


def told(failure: BaseException) -> str:
    """An exception in a line: what it is, and where in the operator's file it came from."""
    if isinstance(failure, asyncio.TimeoutError) and not str(failure):
        said = "TimeoutError: something it waited for took too long"
    else:
        text = failure.msg if isinstance(failure, SyntaxError) else str(failure)
        said = f"{type(failure).__name__}: {text}" if text else type(failure).__name__
    place = line_of(failure)
    return " ".join(said.split())[:500] + (f" ({place})" if place else "")


def line_of(failure: BaseException) -> str:
    """The place in the operator's code that an exception came from, such as ``weather.py:12``."""
    if isinstance(failure, SyntaxError) and failure.filename:
        return f"{Path(failure.filename).name}:{failure.lineno}"
    for frame in reversed(traceback.extract_tb(failure.__traceback__)):
        # The last line of their own: not the library's that they called.
        path = Path(frame.filename)
        if path.is_absolute() and not any(path.is_relative_to(other) for other in _OTHERS):
            return f"{path.name}:{frame.lineno}"
    return ""


_OTHERS = (
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")),
    Path(clawd.__file__).parent,
)
