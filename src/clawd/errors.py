"""The errors that clawd raises, sorted by who must act.

Every error carries a stable ``code``, one sentence for a human, and the mend as ``hint``.
The terminal turns a class into an exit code (``exit_code``), the HTTP edge into a status
(``status``), and a tool call into an error object (``as_json``): one text everywhere.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ClawdError(Exception):
    """The root of all errors that clawd raises on purpose."""

    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500

    def __init__(self, code: str, message: str, *, hint: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.facts = facts

    def as_json(self) -> dict[str, Any]:
        """The error object: ``{error, message, hint?, ...facts}``."""
        body: dict[str, Any] = {"error": self.code, "message": self.message}
        if self.hint:
            body["hint"] = self.hint
        return body | self.facts


class Invalid(ClawdError):
    """An input is not of the form it must have; nothing was changed."""

    exit_code = 2
    status = 400


class NotFound(ClawdError):
    """There is no such session, message, task, … (or none that the asker may know of)."""

    exit_code = 5
    status = 404


class Refused(ClawdError):
    """The input is well formed, but a rule or the present state forbids it."""

    exit_code = 1
    status = 409


class GuardRefused(Refused):
    """A bound on autonomous work was reached. Final, never a passing fault.

    The error object has the shape that every guard shares (`docs/messages-and-tasks.md`):
    ``{error, message, limit, value, scope, retryable: false, hint}``.
    """

    status = 429

    def __init__(
        self,
        code: str,
        message: str,
        *,
        limit: int | float,
        value: int | float,
        scope: str,
        hint: str,
    ) -> None:
        super().__init__(
            code, message, hint=hint, limit=limit, value=value, scope=scope, retryable=False
        )


class TooLarge(GuardRefused):
    """What was given has more bytes than a guard allows: the giver's mistake."""

    exit_code = 2
    status = 400


class ConfigError(ClawdError):
    """The configuration is missing or invalid."""

    exit_code = 3
    status = 422


class StorageError(ClawdError):
    """The disk refused: nothing that this call was to store has been acknowledged."""

    status = 507


class DaemonUnreachable(ClawdError):
    """No daemon answers on this home's socket."""

    exit_code = 4
    status = 503


class ProviderError(ClawdError):
    """A model endpoint refused or failed.

    ``retryable`` says whether the same request may succeed later.
    """

    exit_code = 6
    status = 502

    def __init__(self, code: str, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(code, message, hint=hint, retryable=retryable)
        self.retryable = retryable


class ContextOverflow(ProviderError):
    """The endpoint says that the conversation does not fit the model's window."""


class ProviderBusy(ProviderError):
    """A model endpoint is overloaded or out of reach, after every retry."""

    exit_code = 75
    status = 503


class Unreachable(ClawdError):
    """Another host does not answer, or answers with what cannot be used."""

    status = 502


class TimedOut(ClawdError):
    """A wait reached its limit."""

    exit_code = 7
    status = 504
