"""The offline model itself: one conversation in, one answer out, always the same."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clawd.llm.offline import cues, wording
from clawd.llm.offline.parsing import Known, Step, Tools, read
from clawd.llm.offline.splitting import steps_in
from clawd.llm.offline.triggers import Trigger, triggers_of

_MAY_ASK = re.compile(r"\s*(?:please|use)\s", re.IGNORECASE)
_SUMMARISE = re.compile(r"\s*summari[sz]e\b", re.IGNORECASE)


@dataclass(frozen=True)
class Decision:
    """What the model answers: words, or one tool call with its arguments as JSON text."""

    text: str = ""
    tool: str = ""
    arguments: str = ""


@dataclass(frozen=True)
class _Done:
    """One call of this turn and its result."""

    tool: str
    result: str


@dataclass
class _Progress:
    """How far a plan has got: the next call, what to say, whether a step has failed."""

    words: list[str]
    step: Step | None = None
    failed: bool = False


def decide(messages: Sequence[Mapping[str, Any]], tools: Tools) -> Decision:
    """The next answer in a conversation; ``tools`` are the schemas on offer by name.

    A turn is a plan made from what started it: a call for each step, in order. What came back so
    far says how far the plan has got; a step that fails ends it.
    """
    end = max((n for n, one in enumerate(messages) if one.get("role") == "user"), default=-1) + 1
    begin = end
    while begin and messages[begin - 1].get("role") == "user":
        begin -= 1
    triggers = [trigger for one in messages[begin:end] for trigger in triggers_of(_text(one))]
    if not tools and any(
        _SUMMARISE.match(_text(one)) for one in messages if one["role"] == "system"
    ):
        return Decision(wording.summary("\n".join(trigger.text for trigger in triggers)))
    done = _done(messages[end:])
    said: list[str] = []
    for trigger in triggers:
        progress = _progress(trigger, tools, done)
        if progress.step is not None:
            arguments = json.dumps(progress.step.arguments, ensure_ascii=False)
            return Decision(tool=progress.step.tool, arguments=arguments)
        said += progress.words
    known = any(one.get("role") == "assistant" and _text(one) for one in messages[:begin])
    if not known and any(trigger.kind == "line" for trigger in triggers):
        said.append(wording.ABOUT)
    return Decision("\n\n".join(said) or wording.ABOUT)


def _progress(trigger: Trigger, tools: Tools, done: list[_Done]) -> _Progress:
    match trigger.kind:
        case "task":
            return _task(trigger, tools, done)
        case "message":
            return _message(trigger, tools, done)
        case "result":
            return _Progress([wording.task_result(trigger.id, trigger.sender, trigger.text)])
        case "line":
            steps = _steps(trigger.text, tools, Known())
            return _walk(steps, done) if steps else _Progress([wording.help_text(tools)])


def _steps(text: str, tools: Tools, known: Known) -> list[Step]:
    found: list[Step] = []
    for number, line in enumerate(steps_in(text, tools)):
        step = read(line, tools, known)
        if step is None and number:
            step = Step("", problem=wording.not_understood(line))
        if step is not None:
            found.append(step)
    return found


def _walk(steps: list[Step], done: list[_Done]) -> _Progress:
    """Take the steps that were made out of ``done``; the first other one is next."""
    progress = _Progress([])
    for step in steps:
        if step.problem:
            progress.words.append(step.problem)
            progress.failed = True
            break
        if not done:
            progress.step = step
            break
        taken = done.pop(0)
        progress.words.append(wording.report(taken.tool, taken.result))
        if wording.is_failure(taken.result):
            progress.failed = True
            break
    return progress


def _task(trigger: Trigger, tools: Tools, done: list[_Done]) -> _Progress:
    """What the task's text asks for, and then its completion in words."""
    steps = _steps(trigger.text, tools, Known(trigger.sender, trigger.id))
    progress = _walk(steps, done)
    if progress.step is not None or any(step.tool == cues.COMPLETE for step in steps):
        return progress
    if not progress.failed and steps and steps[-1].tool == cues.DELEGATE:
        # What was handed on is not done: its result continues this task.
        return progress
    outcome = " ".join(progress.words) or wording.echo(trigger.text)
    if cues.COMPLETE not in tools:
        return _Progress([outcome])
    arguments = {cues.TASK_PARAMETER: trigger.id}
    arguments |= (
        {"error": f"Not done offline: {outcome}"}
        if progress.failed
        else {"result": f"Done offline: {outcome}"}
    )
    return _walk([Step(cues.COMPLETE, arguments)], done)


def _message(trigger: Trigger, tools: Tools, done: list[_Done]) -> _Progress:
    """Another session's words are data; only a few plain requests in them are followed."""
    heard = wording.heard(trigger.id, trigger.sender)
    if not _MAY_ASK.match(trigger.text):
        return _Progress([heard])
    steps = [
        step
        if step.problem or step.tool in cues.PEER_MAY_ASK
        else Step(step.tool, problem=wording.not_for_peers(step.tool))
        for step in _steps(trigger.text, tools, Known(trigger.sender))
    ]
    progress = _walk(steps, done)
    progress.words.insert(0, heard)
    return progress


def _done(messages: Sequence[Mapping[str, Any]]) -> list[_Done]:
    """The calls after the last line, in order, with what they gave."""
    results = {one.get("tool_call_id"): _text(one) for one in messages if one.get("role") == "tool"}
    calls = [call for one in messages for call in one.get("tool_calls") or ()]
    return [_Done(call["function"]["name"], results.get(call["id"], "")) for call in calls]


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content or ""
