"""``package.module:name`` → what can be bound, or one sentence that says why there is nothing."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from clawd.agent.tool import Declaration, Tool, bind
from clawd.agent.workbench import Workbench
from clawd.errors import Invalid
from clawd.nearest import nearest
from clawd.tools.own.answering import answering, told
from clawd.tools.own.source import Source

Target = Callable[..., Any]
"""A decorated function, or a class with decorated methods."""


def resolve(reference: str, source: Source) -> tuple[Target, ...]:
    """Import what a reference names (blocking, for as long as the module takes).

    ``Invalid`` when it cannot be imported, is not there, or is no tool: with module and line.
    """
    module_name, _, name = reference.partition(":")
    module = _import(reference, module_name, source)
    if source.has(module_name) and not source.holds(getattr(module, "__file__", None)):
        raise _unusable(
            reference,
            f"{module_name} is another module, {getattr(module, '__file__', 'of Python itself')}",
            f"rename the one in {source.folder}",
        )
    try:
        found = getattr(module, name)
    except AttributeError:
        near = nearest(name, (each for each in vars(module) if not each.startswith("_")))
        raise _unusable(
            reference,
            f"the module has no {name}",
            f"did you mean {module_name}:{near}?" if near else f"it is {module.__file__}",
        ) from None
    targets = tuple(found) if isinstance(found, list | tuple) else (found,)
    try:
        for target in targets:
            usable(name if targets == (found,) else f"an item of {name}", target)
    except Invalid as failure:
        raise _unusable(reference, failure.message, failure.hint) from None
    if not targets:
        raise _unusable(reference, f"{name} is empty", "put a function with @tool there")
    return targets


def bound(targets: Iterable[Target], bench: Workbench) -> dict[str, Tool]:
    """The tools of what was resolved, by name; a class is made anew for this caller."""
    tools: dict[str, Tool] = {}
    for target in targets:
        if inspect.isclass(target):
            given = (bench,) if len(_needed(target)) == 1 else ()
            box: object = target(*given)
            made = {n: Tool(t.declaration, answering(t.function)) for n, t in bind(box).items()}
        else:
            declaration: Declaration = target.__tool__  # type: ignore[attr-defined]
            made = {declaration.name: Tool(declaration, answering(target))}
        tools = made | tools
    return tools


def _import(reference: str, name: str, source: Source) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as failure:
        if failure.name is None or not f"{name}.".startswith(f"{failure.name}."):
            raise _unusable(
                reference,
                told(failure),
                f"install {failure.name} where clawd is installed",
            ) from failure
        raise _unusable(
            reference,
            f"there is no module {failure.name}",
            f"put {name.replace('.', '/')}.py into {source.folder}, or install it",
        ) from None
    except BaseException as failure:
        raise _unusable(reference, told(failure), "mend it and save: it is read again") from failure


def usable(name: str, target: object) -> None:
    """Whether a target can be bound; ``Invalid`` says what it lacks."""
    if inspect.isclass(target):
        methods = (getattr(member, "__tool__", None) for member in vars(target).values())
        if not any(isinstance(each, Declaration) for each in methods):
            raise Invalid("own_tool", f"{name} has no method with @tool", hint="write one")
        if len(needed := _needed(target)) > 1:
            raise Invalid(
                "own_tool",
                f"{name} is made with {', '.join(needed)}",
                hint="let __init__ take the bench (clawd.tools.Workbench), or nothing",
            )
    elif not isinstance(getattr(target, "__tool__", None), Declaration):
        hint = "write @tool above it" if callable(target) else "name a function, a class or a list"
        raise Invalid("own_tool", f"{name} is no tool", hint=f"{hint}: docs/own-tools.md")


def _needed(kind: type) -> list[str]:
    """The names of what its constructor must be given."""
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return []
    plain = (p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
    return [p.name for p in plain if p.default is p.empty]


def _unusable(reference: str, what: str, mend: str) -> Invalid:
    return Invalid("own_tool", f"tools.load {reference!a}: {what}", hint=mend)
