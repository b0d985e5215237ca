"""How what starts a turn is shown to the model: the sender named, the content fenced as data."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from clawd.comms.models import AsyncTask, SessionMessage
from clawd.ids import OPERATOR


def fenced(token: str, content: str) -> str:
    """Content between ``<<<token`` and ``token>>>``; nothing inside can end the fence."""
    harmless = content.replace(f"{token}>>>", f"{token}> > >")
    return f"<<<{token}\n{harmless}\n{token}>>>"


def messages_text(messages: Iterable[SessionMessage]) -> str:
    """The user message for a turn that messages started."""
    return "\n\n".join(_message(message) for message in messages)


def task_text(task: AsyncTask) -> str:
    """The user message for a turn that works on a task."""
    lines = [
        f'[task {task.id} from session "{task.from_session}"]',
        fenced(task.id, task.task),
    ]
    if task.context is not None:
        lines += [
            "Its context, as JSON:",
            fenced(f"{task.id}-context", msgspec.json.encode(task.context).decode()),
        ]
    deadline = f" It must be done by {task.deadline}." if task.deadline else ""
    lines.append(
        f'Do this and end it with complete_async_task(task_id="{task.id}", result=… or error=…); '
        f"if you do not, your final text becomes the result.{deadline}"
    )
    return "\n".join(lines)


def _message(message: SessionMessage) -> str:
    thread = f' in thread "{_label(message.thread_id)}"' if message.thread_id else ""
    if message.type == "task_result":
        head = f'[result of task {message.thread_id} from session "{message.from_}"]'
        return f"{head}\n{fenced(message.id, message.content)}"
    if message.from_ == OPERATOR:
        head = f"[message {message.id} from your human, the operator{thread}]"
    else:
        head = f'[message {message.id} from session "{message.from_}"{thread}]'
    how = {
        "receipt": "A receipt for a message of yours; it wants no answer.",
        "request": f"{message.from_} waits for your answer: your final text, or a message to it.",
        "notice": "A notice about a message of yours; it wants no answer.",
    }.get(
        message.type,
        f"To answer, use send_message_to_session to {message.from_}; otherwise just end your turn.",
    )
    replies = f" It answers your message {message.reply_to}." if message.reply_to else ""
    return f"{head}\n{fenced(message.id, message.content)}\n({how}{replies})"


def _label(text: str) -> str:
    """A label that another session chose, unable to end the quotes or the brackets around it."""
    return "".join(f"\\u{ord(c):04x}" if c in '"\\[]<>' else c for c in text)
