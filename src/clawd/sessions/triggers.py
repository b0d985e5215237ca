"""How what starts a turn is shown to the model: the sender named, the content fenced as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from clawd.comms.models import AsyncTask, SessionMessage
from clawd.fences import escaped, fenced, from_whom, origin_of

_BRACKETS = "[]<>"
"""What a label in a head cannot have, or it would end the head."""


def messages_text(
    messages: Iterable[SessionMessage], may_answer: Callable[[str], bool] = lambda _: True
) -> str:
    """The user message for a turn that messages started; whom its session may write to decides."""
    return "\n\n".join(_message(message, may_answer(message.from_)) for message in messages)


def task_text(task: AsyncTask, dependencies: Iterable[AsyncTask] = ()) -> str:
    """The user message for a turn that works on a task; ``dependencies`` are what it waited for."""
    origin = origin_of(task.lineage)
    lines = [
        f'[task {task.id} from session "{task.from_session}", origin {origin}]',
        fenced(task.id, task.task),
    ]
    context = dict(task.context or {})
    needed = list(dependencies)
    if needed:
        # Each result is its own worker's word, not that of whoever gave this task.
        context.pop("dependencies", None)
    if context or (task.context is not None and not needed):
        lines += ["Its context, as JSON:", fenced(f"{task.id}-context", _json(context))]
    for each in needed:
        lines += [
            f'[context.dependencies: result of {each.id} from session "{each.to_session}", '
            f"origin peer, as JSON]",
            fenced(f"{each.id}-result", _json(each.result)),
        ]
    deadline = f" It must be done by {task.deadline}." if task.deadline else ""
    lines.append(
        f'Do this and end it with complete_async_task(task_id="{task.id}", result=… or error=…); '
        f"if you do not, your final text becomes the result.{deadline}"
    )
    return "\n".join(lines)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _message(message: SessionMessage, may_answer: bool) -> str:
    thread = f', in thread "{escaped(message.thread_id, _BRACKETS)}"' if message.thread_id else ""
    if message.type == "task_result":
        head = f'[result of task {message.thread_id} from session "{message.from_}", origin peer]'
        return f"{head}\n{fenced(message.id, message.content)}"
    head = f"[message {message.id} from {from_whom(message.from_, message.lineage)}{thread}]"
    sender = message.from_
    how = {
        "receipt": "A receipt for a message of yours; it wants no answer.",
        "request": f"{sender} waits for your answer: your final text, or a message to it."
        if may_answer
        else f"{sender} waits for your answer: your final text. You may not write to it otherwise.",
        "notice": "A notice about a message of yours; it wants no answer.",
    }.get(
        message.type,
        f"To answer, use send_message_to_session to {sender}; otherwise just end your turn."
        if may_answer
        else f"You may not write to {sender}; just end your turn.",
    )
    replies = f" It answers your message {message.reply_to}." if message.reply_to else ""
    return f"{head}\n{fenced(message.id, message.content)}\n({how}{replies})"
