"""A tool is a typed coroutine with a docstring: its signature becomes the schema.

A toolbox is an object whose methods carry ``@tool``; a new one is bound for every turn, so a
model can never act as another session.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

import msgspec
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from clawd.errors import Invalid, TimedOut
from clawd.messages import JSON
from clawd.nearest import nearest

RESULT_BYTES = 1024 * 1024
"""How much of a tool's result the model is shown, as JSON: a line of a transcript holds twice that.
"""


class Answer(msgspec.Struct, frozen=True):
    """What a tool tells the model: a short text, and the same facts as a JSON object."""

    text: str
    facts: JSON | None = None

    def render(self) -> str:
        """The text that becomes the tool's result."""
        # A lone surrogate, as in a file name that is not UTF-8, can neither be stored nor sent.
        text = self.text.encode(errors="replace").decode()
        if self.facts is None:
            return text
        facts = msgspec.json.encode(self.facts).decode()
        return f"{text}\n{facts}" if text else facts


def fitting(result: str) -> str:
    """A tool's result as it enters a conversation: what takes more than 1 MiB as JSON is cut."""
    if len(result) <= RESULT_BYTES // 6:
        # Whatever is in it: no character takes more.
        return result
    kept = result[:RESULT_BYTES]
    while (size := len(msgspec.json.encode(kept))) > RESULT_BYTES:
        kept = kept[: min(len(kept) - 1, len(kept) * RESULT_BYTES // size)]
    if len(kept) == len(result):
        return result
    return f"{kept}\n[clawd: the result was cut: {len(kept)} of its {len(result)} characters]"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is known of a tool before it is bound to a caller.

    ``encoded`` is what each request says of it, made once: a turn asks with a dozen of them.
    """

    name: str
    description: str
    arguments: type[BaseModel] | None
    """None where ``parameters`` were given from outside: a ``Tool`` of its own checks them."""
    parameters: JSON
    seconds: float
    untrusted: bool = False
    """Whether its results are text from outside: the turn that reads one is marked."""
    encoded: msgspec.Raw = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoded", msgspec.Raw(msgspec.json.encode(self.schema())))

    def schema(self) -> JSON:
        """The declaration as chat completions take it."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }
        return {"type": "function", "function": function}


class Tool(msgspec.Struct, frozen=True):
    """A tool bound to its caller."""

    declaration: Declaration
    function: Callable[..., Awaitable[Answer]]

    @property
    def name(self) -> str:
        """The name that the model calls."""
        return self.declaration.name

    def schema(self) -> JSON:
        """The declaration as chat completions take it."""
        return self.declaration.schema()

    async def call(self, arguments: JSON) -> Answer:
        """Check the arguments and run the tool: what nobody needs to look at in between."""
        return await self.run(self.check(arguments))

    def check(self, arguments: JSON) -> JSON:
        """The arguments under their own names, with defaults; ``Invalid`` names every wrong one."""
        if self.declaration.arguments is None:
            return arguments
        try:
            checked = self.declaration.arguments.model_validate(arguments)
        except ValidationError as error:
            raise self._explained(error) from None
        return vars(checked)

    async def run(self, given: JSON) -> Answer:
        """Run the tool on checked arguments, for so long as its declaration allows.

        ``TimedOut`` says that the time was over.
        """
        seconds = self.declaration.seconds
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self.apply(given)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimedOut(
                "tool_timeout", f"{self.name} did not end within {seconds:g} s"
            ) from None

    def apply(self, given: JSON) -> Awaitable[Answer]:
        """Call the function, without a limit of time."""
        return self.function(**given)

    def _explained(self, error: ValidationError) -> Invalid:
        known = list(self.declaration.arguments.model_fields) if self.declaration.arguments else []
        found = []
        for problem in error.errors(include_url=False, include_input=False):
            place = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                near = nearest(place, known)
                found.append(
                    f"{place}: unknown parameter" + (f", did you mean {near}?" if near else "")
                )
            elif problem["type"] == "missing":
                found.append(f"{place}: missing")
            else:
                found.append(f"{place}: {problem['msg']}")
        return Invalid(
            "invalid_arguments",
            f"{self.name}: " + "; ".join(dict.fromkeys(found)),
            hint="parameters: " + (", ".join(known) or "none"),
        )


Function = TypeVar("Function", bound=Callable[..., Awaitable[Answer]])


def tool(
    *, aliases: dict[str, str] | None = None, seconds: float = 60.0, untrusted: bool = False
) -> Callable[[Function], Function]:
    """Declare a coroutine, a method or a function, as a tool.

    ``aliases`` gives a parameter a further accepted name (the camelCase form is always accepted);
    ``seconds`` bounds one call; ``untrusted`` says that its results are text from outside, such as
    a web page. A parameter without a description under ``Args:`` is refused at import.
    """

    def declare(function: Function) -> Function:
        made = _declaration(function, aliases or {}, seconds, untrusted)
        function.__tool__ = made  # type: ignore[attr-defined]
        return function

    return declare


def bind(*toolboxes: object) -> dict[str, Tool]:
    """The tools of the toolboxes by name, bound to them."""
    return {
        declaration.name: Tool(declaration, getattr(toolbox, declaration.name))
        for toolbox in toolboxes
        for declaration in _declared(type(toolbox))
    }


_DECLARED: dict[type, tuple[Declaration, ...]] = {}


def _declared(kind: type) -> tuple[Declaration, ...]:
    if kind not in _DECLARED:
        _DECLARED[kind] = tuple(_find(kind))
    return _DECLARED[kind]


def _find(kind: type) -> Iterable[Declaration]:
    found = (getattr(member, "__tool__", None) for member in vars(kind).values())
    return (declaration for declaration in found if isinstance(declaration, Declaration))


def parse_arguments(text: str) -> JSON:
    """The arguments that a model wrote; nothing means none. ``Invalid`` says what is wrong."""
    if not text.strip():
        return {}
    try:
        arguments = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Invalid(
            "malformed_arguments",
            f"the arguments are not valid JSON ({error}): {text[:500]}",
            hint="call the tool again with one JSON object",
        ) from None
    if not isinstance(arguments, dict):
        raise Invalid(
            "malformed_arguments",
            "the arguments must be a JSON object",
            hint='such as {"name": "value"}',
        )
    return arguments


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _declaration(
    function: Callable[..., Any], aliases: dict[str, str], seconds: float, untrusted: bool
) -> Declaration:
    description, described = _docstring(function)
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, tuple[Any, FieldInfo]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "self":
            continue
        if name not in described:
            raise TypeError(
                f"{function.__qualname__}: parameter {name} has no description under Args:"
            )
        names = dict.fromkeys(n for n in (name, _camel(name), aliases.get(name)) if n)
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (
            hints[name],
            Field(default, description=described[name], validation_alias=AliasChoices(*names)),
        )
    config = ConfigDict(
        strict=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True
    )
    model = create_model(function.__name__, __config__=config, **fields)  # type: ignore[call-overload]
    schema = _plain(model.model_json_schema(by_alias=False))
    schema.setdefault("properties", {})
    schema["additionalProperties"] = False
    return Declaration(function.__name__, description, model, schema, seconds, untrusted)


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    text = inspect.getdoc(function) or ""
    head, _, tail = text.partition("\nArgs:\n")
    described: dict[str, str] = {}
    name = ""
    for line in tail.splitlines():
        if match := re.match(r"    (\w+): (.+)", line):
            name = match[1]
            described[name] = match[2].strip()
        elif name and line.startswith("        "):
            described[name] += " " + line.strip()
        elif line.strip():
            break
    return " ".join(head.split()), described


def _plain(schema: Any) -> Any:
    """The schema without titles, and without the null branch of an optional parameter."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        key: _plain(part)
        for key, part in schema.items()
        if key != "title" or not isinstance(part, str)
    }
    branches = [branch for branch in plain.get("anyOf", []) if branch != {"type": "null"}]
    if len(branches) == 1:
        del plain["anyOf"]
        plain = branches[0] | plain
    elif branches:
        plain["anyOf"] = branches
    if "default" in plain and plain["default"] is None:
        del plain["default"]
    return plain
