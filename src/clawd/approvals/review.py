"""Each call of a model is looked at before it runs: allowed, refused, or put to the human."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from clawd.agent.calling import ParkedCall
from clawd.agent.tool import Tool
from clawd.agent.workbench import Workbench
from clawd.approvals.desk import Desk
from clawd.approvals.models import Approval
from clawd.approvals.policy import Verdict, judge
from clawd.config.schema import SessionSettings
from clawd.errors import Refused
from clawd.ids import new_id, now, timestamp
from clawd.lineage import Lineage
from clawd.messages import JSON

ASKING = "ask_user"
SHOWN_BYTES = 16 * 1024
"""How much of a call's arguments is kept for the human to see."""


@dataclass(frozen=True, slots=True)
class Review:
    """Looks at the calls of one turn."""

    desk: Desk
    bench: Workbench
    settings: Callable[[], SessionSettings]
    """Those in force when a call is made: what the operator saves holds at once."""

    async def __call__(self, tool: Tool, call_id: str, given: JSON) -> None:
        """Nothing when the call may run; else ``Refused`` or ``ParkedCall``."""
        given = in_order(tool, given)
        written = msgspec.json.encode(given, enc_hook=str)
        digest = hashlib.sha256(tool.name.encode() + b"\0" + written).hexdigest()[:32]
        verdict = judge(replace(self.bench, settings=self.settings()), tool.name, given)
        if verdict.decision == "deny":
            raise Refused(
                "tool_denied",
                f"the operator denies this call of {tool.name}",
                hint=verdict.why,
            )
        known = self.desk.of_call(self.bench.turn, call_id)
        if known is not None and known.digest == digest and known.state != "used":
            await self._as_decided(known)
            return
        if verdict.decision == "allow" or tool.name == ASKING:
            # Nobody needs to be asked whether they may be asked.
            return
        if verdict.rule and self.desk.allowed_by(self.bench.session, tool.name, given):
            return
        told = {name: value for name, value in given.items() if value is not None}
        written = msgspec.json.encode(told, enc_hook=str)
        await self.desk.ask(self._approval(tool.name, call_id, written, digest, verdict))
        raise ParkedCall

    async def _as_decided(self, known: Approval) -> None:
        if known.state == "open":
            raise ParkedCall
        if known.state == "allowed":
            await self.desk.use(known)
            return
        said = {
            "denied": "your human said no",
            "expired": "nobody said yes in time, which is a no",
        }.get(known.state, "it was withdrawn")
        raise Refused(
            f"approval_{known.state}",
            f"this call of {known.tool} was not approved: {said}"
            + (f": {known.answer}" if known.answer else ""),
            hint="go on without it, or say what you would need it for",
        )

    def _approval(
        self, tool: str, call_id: str, written: bytes, digest: str, verdict: Verdict
    ) -> Approval:
        shown = written[:SHOWN_BYTES].decode(errors="ignore")
        if len(written) > SHOWN_BYTES:
            shown += f"… [clawd: {len(written)} bytes in all]"
        return Approval(
            kind="approval",
            tool=tool,
            text=verdict.why,
            arguments=shown,
            digest=digest,
            rule=verdict.rule,
            **asked_by(self.bench, call_id),
        )


def in_order(tool: Tool, given: JSON) -> JSON:
    """The arguments as the tool declares them, not as a model wrote them: its first one counts.

    It is there, as nothing, where a tool of elsewhere was not given it: no other stands for it.
    """
    declared = tool.declaration.parameters.get("properties")
    names = [*declared] if isinstance(declared, dict) else []
    first = {name: given.get(name) for name in names[:1]}
    return first | {name: given[name] for name in names if name in given} | given


def asked_by(bench: Workbench, call_id: str) -> JSON:
    """The fields of an approval that say who asks, since when, and what led there."""
    return {
        "id": new_id("appr"),
        "state": "open",
        "session": bench.session,
        "turn": bench.turn,
        "call": call_id,
        "created_at": now(),
        "expires_at": timestamp(time.time() + bench.settings.tools.approval_hours * 3600),
        "cause": cause_of(bench.lineage, bench.session, bench.trigger),
        "trace": bench.lineage.trace,
        "task": bench.task,
    }


def cause_of(lineage: Lineage, session: str, trigger: str) -> str:
    """The chain that led to a call, in words: ``operator → default → coder (a task)``."""
    path = lineage.path or ((lineage.origin,) if trigger == "user" else ())
    left_out = "… → " if lineage.hops > len(lineage.path) else ""
    chain = " → ".join((*path, session))
    outside = ", has read from outside" if lineage.untrusted else ""
    return f"{left_out}{chain} ({trigger}{outside})"
