"""The routes of what waits for the human, and of the standing rules."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.approvals.desk import by_state
from clawd.approvals.models import Approval, State
from clawd.config.patterns import just_this
from clawd.errors import Invalid
from clawd.gateway.house import House
from clawd.gateway.wire import Fields, choice, listing, one, read_body, word
from clawd.messages import JSON

MAX_ANSWER = 64 * 1024


class Deciding(Fields):
    """The human's word: ``always`` with ``allow`` makes a standing rule of it."""

    decision: Literal["allow", "deny", "answer"]
    answer: str = ""
    always: bool = False


class ApprovalRoutes:
    """What can be asked of the desk, and said to it."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The routes of this noun."""
        return [
            Route("/api/approvals", self.approvals, methods=["GET"]),
            Route("/api/approvals/rules", self.rules, methods=["GET"]),
            Route("/api/approvals/rules/{id}", self.forget, methods=["DELETE"]),
            Route("/api/approvals/{id}", self.approval, methods=["GET"]),
            Route("/api/approvals/{id}", self.decide, methods=["POST"]),
        ]

    async def approvals(self, request: Request) -> Response:
        """What waits, or what is in another state; ``state=all`` for everything."""
        state = choice(request, "state", ("all", *get_args(State))) or "open"
        session = word(request, "session")
        found = by_state(self._house.desk.all(), None if state == "all" else state)
        return listing("approvals", [shown(a) for a in found if session in (None, a.session)])

    async def approval(self, request: Request) -> Response:
        """One of them."""
        return one("approval", shown(self._house.desk.get(request.path_params["id"])))

    async def decide(self, request: Request) -> Response:
        """Allow, deny or answer; the turn goes on."""
        desk = self._house.desk
        approval = desk.get(request.path_params["id"])
        body = await read_body(request, Deciding)
        if len(body.answer) > MAX_ANSWER:
            raise Invalid("too_large", f"an answer has at most {MAX_ANSWER} characters")
        if (body.decision == "answer") is not (approval.kind == "question") and (
            body.decision != "deny"
        ):
            what = "an answer" if approval.kind == "question" else "allow or deny"
            raise Invalid("wrong_decision", f"{approval.id} wants {what}, not {body.decision}")
        if body.decision == "answer" and not body.answer.strip():
            raise Invalid("empty_answer", "the answer is empty", hint="say something")
        if body.always and not approval.rule:
            raise Invalid(
                "once_only",
                "what a turn does after it has read from outside is allowed once at a time",
                hint="tools.afterUntrusted in config.json allows it for good",
            )
        state: dict[str, State] = {"allow": "allowed", "deny": "denied", "answer": "answered"}
        # Before anything is decided: arguments may be too long for a rule.
        standing = pattern_of(approval) if body.always and body.decision == "allow" else ""
        decided = await desk.settle(approval.id, state[body.decision], answer=body.answer)
        facts = shown(decided)
        if standing:
            facts["standing"] = _rule(await desk.always(decided, standing))
        return one("approval", facts)

    async def rules(self, _: Request) -> Response:
        """What is always allowed, on the operator's word."""
        return listing("approvalRules", [_rule(rule) for rule in self._house.desk.rules()])

    async def forget(self, request: Request) -> Response:
        """Take a standing rule back."""
        return one("approvalRule", _rule(await self._house.desk.forget(request.path_params["id"])))


def shown(approval: Approval) -> JSON:
    """An approval as programs see it; ``pattern`` is the rule that *always* would make."""
    facts: JSON = msgspec.to_builtins(approval)
    for name in ("record", "sealed", "digest"):
        facts.pop(name, None)
    if approval.kind == "approval" and approval.rule:
        with suppress(Invalid):  # for what is too long there is no rule
            facts["pattern"] = pattern_of(approval)
    return facts


def pattern_of(approval: Approval) -> str:
    """The rule that allows calls like this one."""
    try:
        given = msgspec.json.decode(approval.arguments, type=dict[str, Any])
    except msgspec.DecodeError:
        raise Invalid(
            "too_large",
            "the arguments are too long for a standing rule",
            hint="allow it once, or add a pattern to tools.approval in config.json",
        ) from None
    return just_this(approval.tool, given)


def _rule(rule: Any) -> JSON:
    facts: JSON = msgspec.to_builtins(rule)
    facts.pop("record", None)
    facts.pop("sealed", None)
    return facts
