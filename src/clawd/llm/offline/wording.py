"""What the offline model says: about itself, and about the results of tools."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

ABOUT = (
    "I am clawd's offline model: a set of rules inside the daemon, no intelligence and no network. "
    "To connect a real model, set OPENAI_API_KEY or add a provider template to config.json "
    "(providerTemplates), then run `clawd init --provider auto`."
)

_EXAMPLES = (
    'Use send_message_to_session to send "Hello" to session "researcher"',
    "ask coder to write the tests, then list agents",
    'Use TOOL with {"parameter": "value"}',
)
_SHOWN = 500
_VERBATIM = ("exec", "read_file", "edit_file", "list_dir", "find_files", "search_text")


def help_text(names: Iterable[str]) -> str:
    """What it can do with the tools of this session."""
    listed = ", ".join(sorted(names))
    if not listed:
        return "I follow instructions that name a tool, but this session has no tools."
    examples = "\n".join(f"- {example}" for example in _EXAMPLES)
    return (
        "I cannot answer questions or hold a conversation. I follow instructions that say which "
        f"tool to use, for example:\n\n{examples}\n\nMy tools here: {listed}."
    )


def shortened(text: str, limit: int = _SHOWN) -> str:
    """At most so many characters, with a mark where it was cut."""
    text = text.strip()
    return text if len(text) <= limit else f"{text[:limit]}…"


def parted(result: str) -> tuple[str, Any]:
    """A tool's result as its words and its facts (``None`` when there are none)."""
    words, _, last = result.rpartition("\n")
    for text, facts in ((words, last), ("", result)):
        if facts.lstrip().startswith(("{", "[")):
            try:
                return text.strip(), json.loads(facts)
            except (ValueError, RecursionError):
                continue
    return result.strip(), None


def is_failure(result: str) -> bool:
    """Whether a tool's result is an error object."""
    words, facts = parted(result)
    return not words and isinstance(facts, dict) and "error" in facts


def report(tool: str, result: str) -> str:
    """One call's result in plain words."""
    words, facts = parted(result)
    if is_failure(result):
        hint = f" ({facts['hint']})" if facts.get("hint") else ""
        return f"{tool} did not work: {facts.get('message') or facts['error']}{hint}."
    details = "".join(_details(facts)) if isinstance(facts, Mapping) else ""
    if words:
        return _laid_out(tool, shortened(words, 4 * _SHOWN)) + details
    if facts is None or facts in ({}, []):
        return f"{tool} is done; it had nothing to say."
    return (
        details.lstrip("\n")
        or f"{tool} answered: {shortened(json.dumps(facts, ensure_ascii=False))}"
    )


def _laid_out(tool: str, words: str) -> str:
    """Lines of files and commands as they are; all else is Markdown, or one line."""
    first, _, rest = words.partition("\n")
    if not rest.strip() or not tool.startswith(_VERBATIM):
        return words
    fence = "`" * (2 + max(map(len, re.findall("`*", rest)), default=0)) + "`"
    return f"{first}\n{fence}\n{rest.strip(chr(10))}\n{fence}"


def _details(facts: Mapping[str, Any]) -> Iterable[str]:
    """What a result's own words leave out: the contents of messages, and how tasks ended."""
    for message in _objects(facts.get("messages")):
        if "content" in message:
            yield f'\n- from {message.get("from")}: "{shortened(str(message["content"]))}"'
    for task in _objects(facts.get("tasks")):
        for key in ("result", "error"):
            if task.get(key):
                yield f"\n- {key} of {task.get('id')}: {shortened(str(task[key]))}"
    for note in _objects(facts.get("notes")):
        yield f'\n- {note.get("id")}: "{shortened(str(note.get("text")))}"'
    if "answer" in facts:
        yield f' It said: "{shortened(str(facts["answer"]))}"'


def _objects(value: Any) -> Iterable[Mapping[str, Any]]:
    return (one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else ()


def not_understood(line: str) -> str:
    """A step that looked like one, but cannot be read."""
    return f"I do not understand this step, so I stopped before it: {shortened(line)}"


def echo(task: str) -> str:
    """What came of a task that holds no instruction."""
    return f"I can only echo this task, for I have rules and no intelligence: {shortened(task)}"


def task_result(task: str, sender: str, text: str) -> str:
    """A task that was given to another session has ended."""
    return f'The result of {task} has come from session "{sender}": {shortened(text, 4 * _SHOWN)}'


def heard(message: str, sender: str) -> str:
    """A message was taken note of."""
    return f'I have read the message {message} from session "{sender}".'


def not_for_peers(tool: str) -> str:
    """A request of another session that is not followed."""
    return f"It asks for {tool}; I follow that only when my human says it."


def summary(conversation: str) -> str:
    """A conversation made short by rules: its newest lines, each cut."""
    lines = [shortened(line, 200) for line in conversation.splitlines() if line.strip()]
    return "\n".join(["The newest lines of the conversation, shortened by rules:", *lines[-40:]])
