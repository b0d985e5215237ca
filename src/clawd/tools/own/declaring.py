"""``@tool`` as the operator's own functions use it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

from clawd.agent import tool as agent

Function = TypeVar("Function", bound=Callable[..., Any])

NAME = 64
"""The longest name that endpoints take."""


@overload
def tool(function: Function, /) -> Function: ...


@overload
def tool(
    *, aliases: dict[str, str] | None = None, seconds: float = 60.0, untrusted: bool = False
) -> Callable[[Function], Function]: ...


def tool(
    function: Function | None = None,
    /,
    *,
    aliases: dict[str, str] | None = None,
    seconds: float = 60.0,
    untrusted: bool = False,
) -> Function | Callable[[Function], Function]:
    """Declare a function, or a method of a class, as a tool; with brackets or without.

    Its signature becomes the schema, its docstring the description: every parameter has a type,
    and a line under ``Args:``. It may be a coroutine or not, and may return an ``Answer``, a text,
    or anything that JSON can hold. ``seconds`` bounds one call; ``untrusted`` says that what it
    returns is text from outside, such as a web page: the turn that reads it is marked.
    ``aliases`` gives a parameter a further accepted name. ``TypeError`` says what is missing.
    """

    def declare(function: Function) -> Function:
        _check(function)
        return agent.tool(aliases=aliases, seconds=seconds, untrusted=untrusted)(function)

    return declare if function is None else declare(function)


def _check(function: Callable[..., Any]) -> None:
    name = getattr(function, "__name__", "")
    if not (inspect.isfunction(function) and name.isascii() and len(name) <= NAME):
        raise TypeError(f"{name or function!r}: a tool is a function with a name of 64 letters")
    if not (inspect.getdoc(function) or "").strip():
        raise TypeError(f"{name} has no docstring: say there what it does, and when it is of use")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{name}: a tool has no *{parameter.name}: name each parameter")
        if parameter.annotation is parameter.empty and parameter.name != "self":
            raise TypeError(
                f"{name}: parameter {parameter.name} has no type: write {parameter.name}: str"
            )
