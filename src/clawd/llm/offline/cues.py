"""What the offline model knows of language, as data: no rule outside this file names a tool.

In a pattern, ``{Q}`` is a quoted text, ``{W}`` a name, ``{N}`` either of them, ``{J}`` a JSON
object, ``{REST}`` everything up to the end of the step, and a space any white space. A cue has
one group: the value.
"""

from __future__ import annotations

from typing import Any, NamedTuple

PARAMETERS: dict[str, tuple[str, ...]] = {
    "target_session": (
        r"session {Q}", r"{Q} session", r"\b(?:ask|tell|have|message) {Q}", r"\b(?:to|for) {Q}",
        r"\bsession {W}", r"\b(?:ask|tell|have|message)(?: the)? {W}", r"\b(?:to|for)(?: the)? {W}",
    ),
    "message": (
        r"\b(?:send|say|saying|message|text|that|reply|answer|broadcast|tell|with):? {Q}",
        r"\b(?:saying|that says|with the (?:message|text)):? {REST}",
        r": {REST}",
        r"\bthat {REST}",
        r"{Q}",
    ),
    "task": (
        r"\b(?:task|do|delegate|to):? {Q}", r"{Q}",
        r"\bask \S+(?: session)? to {REST}", r": {REST}",
    ),
    "session_id": (
        r"\b(?:called|named|id|session|of) {Q}", r"\b(?:called|named|id|of) {W}", r"\bsession {W}",
    ),
    "provider_template": (
        r"{Q}(?: provider)? template", r"\b(?:using|template|from|with|on) {Q}",
        r"\b(?:using|with|from)(?: the)? {W}(?: provider)? template", r"\btemplate {W}",
        r"\busing(?: the)? {W}",
    ),
    "name": (r"\bname {Q}", r"\bnamed {Q}"),
    "description": (r"\b(?:description|described as) {Q}",),
    "identity_content": (
        r"\b(?:identity|focus on|focusing on|focused on) {Q}", r"\bfocus(?:ing|ed)? on {REST}",
    ),
    "model": (r"\bmodel {Q}",),
    "task_id": (r"\btask(?: id)? {Q}", r"\b(task-[0-9a-z-]+)"),
    "message_id": (r"\bmessage(?: id)? {Q}", r"\b(msg-[0-9a-z-]+)"),
    "result": (r"\b(?:result|with|output|as) {Q}",),
    "error": (r"\b(?:error|failed|failing) {Q}", r"\b(?:because|error:) {REST}"),
    "from_session": (r"\bfrom(?: session)? {Q}", r"\bfrom(?: session)? {W}"),
    "thread_id": (r"\bthread(?: id)? {Q}", r"\bthread(?: id)? ([\w-]+)"),
    "wait_seconds": (r"\bwait(?:ing)?(?: for)?(?: up to)? (\d+)",),
    "query": (r"\b(?:for|query|about|containing) {Q}", r"\bfor {REST}"),
    "path": (
        r"\b(?:file|path|folder|directory) {Q}",
        r"\b(?:to|from|in|into|of|read|list|open|delete) {Q}",
        r"\b(?:file|path|folder) ([\w./-]+)",
    ),
    "content": (r"\b(?:write|content|append|text|save|remember|note|put) {Q}",),
    "text": (r"\b(?:text|remember|note|say|write|that) {Q}", r"\bthat {REST}"),
    "command": (r"\b(?:command|run|execute) {Q}",),
    "url": (r"\b(?:url|fetch|open|from|get|of) {Q}", r"(https?://[^\s\ue000-\ue002]+)"),
    "context": (r"\bcontext {J}",),
}  # fmt: skip
"""Where a parameter's value stands, the surest place first."""

FLAGS: dict[str, tuple[tuple[str, bool], ...]] = {
    "unread_only": ((r"\b(?:new|unread)\b", True), (r"\b(?:all|old|every|earlier)\b", False)),
    "created_by_me": (
        (r"\b(?:I (?:created|delegated|gave|asked)|created by me|delegated)\b", True),
    ),
    "assigned_to_me": ((r"\b(?:assigned to me|given to me)\b", True),),
    "hidden_from_agents": ((r"\bhidden\b", True),),
    "enable_a2a": ((r"\b(?:without|no) a2a\b", False),),
}
"""Words that set a flag; otherwise the tool's own default holds."""

DERIVED: dict[str, str] = {"name": "session_id"}
"""A parameter that says the same as another when it is not said itself."""

FORMS: dict[str, str] = {
    "identity_content": "# IDENTITY\n\nI am a session of clawd. Focus: {}\n",
}
"""What a few words become when a parameter wants a document."""


class Phrase(NamedTuple):
    """A way to say something without naming the tool; what it fixes is added to what is read."""

    pattern: str
    tool: str
    fixed: dict[str, Any]


_OPEN = r"^(?:(?:please|now|can you|could you|would you) )*"
_ONE = r"(?:the )?(?:session )?(?P<target_session>{N})(?: session)?"

PHRASES: tuple[Phrase, ...] = (
    Phrase(
        _OPEN + r"tell (?:everyone|everybody|all(?: sessions)?),?(?: that|:)? (?P<message>.+)",
        "broadcast_message",
        {},
    ),
    Phrase(
        _OPEN + rf"tell {_ONE},?(?: that|:)? (?P<message>.+)",
        "send_message_to_session",
        {},
    ),
    Phrase(
        _OPEN + rf"ask {_ONE} to (?P<task>.+)",
        "delegate_task_async",
        {},
    ),
    Phrase(
        _OPEN + rf"ask {_ONE},?:? (?P<message>.+)",
        "send_message_to_session",
        {},
    ),
    Phrase(
        _OPEN + rf"(?:message|write to) {_ONE},?:? (?P<message>.+)",
        "send_message_to_session",
        {},
    ),
    Phrase(
        _OPEN + rf"(?:send|say) (?:the message )?(?P<message>{{Q}}) to {_ONE}",
        "send_message_to_session",
        {},
    ),
    Phrase(
        _OPEN + rf"send {_ONE} (?:a|the) message:? (?P<message>.+)",
        "send_message_to_session",
        {},
    ),
    Phrase(
        _OPEN
        + rf"send (?:a|the) message to {_ONE},?:?(?: saying| that says| that)?"
        + r" (?P<message>.+)",
        "send_message_to_session",
        {},
    ),
    Phrase(
        _OPEN + rf"delegate (?:the task )?(?P<task>{{Q}}) to {_ONE}",
        "delegate_task_async",
        {},
    ),
    Phrase(
        _OPEN + rf"delegate to {_ONE},?:? (?P<task>.+)",
        "delegate_task_async",
        {},
    ),
    Phrase(
        _OPEN + r"(?:create|make|start|open) (?:an? |the )?(?:new |ai )*session (?:called|named) ",
        "create_session",
        {"provider_template": "offline"},
    ),
    Phrase(
        _OPEN
        + r"(?:who|which (?:agents|sessions)|what (?:agents|sessions)) (?:is|are|else)\b"
        + r".*\b(?:there|here|around|online|available)\b",
        "list_agents",
        {},
    ),
    Phrase(
        _OPEN
        + r"(?:list|show)(?: me)?(?: all)?(?: the| my)? (?:other )?(?:agents|sessions|peers)\b",
        "list_agents",
        {},
    ),
    Phrase(
        _OPEN
        + r"(?:list|show)(?: me)?(?: all)?(?: the| my)?"
        + r" (?:available )?(?:providers?(?: templates)?|templates)\b",
        "list_provider_templates",
        {},
    ),
    Phrase(
        _OPEN + r"(?:which|what) (?:providers|templates|provider templates)\b",
        "list_provider_templates",
        {},
    ),
    Phrase(
        _OPEN
        + r"(?:(?:do|did) I (?:have|get)|are there|have I got|is there)?"
        + r" ?(?:any )?(?:new |unread )+(?:messages?|mail)\b",
        "read_session_messages",
        {"unread_only": True},
    ),
    Phrase(
        _OPEN
        + r"(?:check|read|show)(?: me)?(?: for)?(?: all)?(?: the| my| any)?"
        + r" ?(?:new |unread )?(?:messages|mail|inbox)\b",
        "read_session_messages",
        {},
    ),
    Phrase(
        _OPEN
        + r"(?:check|show|list)(?: me)?(?: on)?(?: the| my| all)*"
        + r" ?(?:open |delegated |async )?tasks\b",
        "check_async_tasks",
        {"created_by_me": True, "assigned_to_me": True},
    ),
    Phrase(
        _OPEN + r"(?:how are|what about|what are) (?:the|my) (?:open |delegated )?tasks\b",
        "check_async_tasks",
        {"created_by_me": True, "assigned_to_me": True},
    ),
)
"""Tried in this order on a step that names no tool."""

NOT_NAMES = frozenset(
    "a about all an and answer any anyone anybody called check create delegate do everybody "
    "everyone find from get give have her him if in it let list look make me message my myself "
    "named new nobody one our read reply report say see send session sessions show someone "
    "somebody start tell ask that the their them this to us use what when where which who why "
    "with write you your yourself".split()
)
"""Words that are never taken for a session's name."""

PEER_MAY_ASK = frozenset(
    "send_message_to_session complete_async_task delegate_task_async read_session_messages "
    "list_agents".split()
)
"""The tools that another session may have used, when it asks with "Please " or "Use "."""

REPLY = r"\b(?:reply|answer|back)\b"
"""Words that mean the sender of the message at hand."""

REPLY_PARAMETER = "target_session"
COMPLETE = "complete_async_task"
DELEGATE = "delegate_task_async"
TASK_PARAMETER = "task_id"
