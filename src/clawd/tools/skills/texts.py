"""YAML of which every value is a text; loaded when there is a skill to read."""

from __future__ import annotations

from typing import Any

import yaml

_DEPTH = 8


def read(head: str) -> tuple[dict[str, Any], bool]:
    """The mapping in a text, and whether it has brackets; ``ValueError`` says what is wrong."""
    try:
        loader = _Texts(head)
        fields = loader.get_single_data()
    except yaml.MarkedYAMLError as failure:
        mark = failure.problem_mark or failure.context_mark
        # The text begins on the line of the dashes.
        at = f" in line {mark.line + 1}" if mark else ""
        raise ValueError(f"not YAML{at}: {failure.problem or failure.context}") from None
    except yaml.reader.ReaderError as failure:
        raise ValueError(f"not YAML: it has the character U+{failure.character:04X}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as failure:
        raise ValueError(f"not YAML: {str(failure)[:120]}") from None
    if not isinstance(fields, dict):
        raise ValueError("the head is no list of fields, such as: name: pdf-forms")
    return fields, loader.flow


class _Texts(yaml.BaseLoader):
    """Makes texts, lists and mappings; refuses what names, repeats or converts values."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.flow = False
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self._depth += 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refused("anchors and aliases are not allowed", event)
        if getattr(event, "tag", None):
            raise _refused("tags are not allowed", event)
        if self._depth > _DEPTH:
            raise _refused(f"more than {_DEPTH} levels", event)
        if getattr(event, "flow_style", False):
            self.flow = True
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused("a key is no text", key)
            if key.value in seen:
                raise _refused(f"{key.value[:40]!a} is there twice", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _refused(problem: str, at: Any) -> yaml.MarkedYAMLError:
    """The error at an event or a node."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)
