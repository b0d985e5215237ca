"""What went wrong at an endpoint: which error it is, and how often to try again."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from clawd.errors import ClawdError, ContextOverflow, ProviderBusy, ProviderError, TimedOut
from clawd.llm.endpoint import Endpoint
from clawd.llm.patience import Patience

_OVERFLOW_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_OVERFLOW_WORDS = (
    "maximum context length",
    "context window",
    "context length",
    "context size",
    "prompt is too long",
    "too many input tokens",
)
_QUOTA_CODES = frozenset(
    "insufficient_quota billing_hard_limit_reached billing_not_active billing_error "
    "insufficient_credits spend_limit_reached spending_limit_reached".split()
)
_QUOTA_WORDS = ("spend limit", "spending limit", "credit balance", "out of credits")
"""A limit on money says so without a code at some providers, and no wait helps against it."""


_OF_A_PROXY = frozenset({"ClientProxyConnectionError", "ClientHttpProxyError", "UnusableProxy"})


class Fault(Exception):
    """An attempt failed.

    ``attempts`` is how many may be made in all when they end like this; ``wait`` the seconds that
    the endpoint asked for.
    """

    def __init__(self, error: ClawdError, attempts: int = 1, wait: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.attempts = attempts
        self.wait = wait


def of_status(
    status: int,
    headers: Mapping[str, str],
    body: str,
    model: str,
    endpoint: Endpoint,
    patience: Patience,
) -> Fault:
    """An answer with an HTTP status that is not a success."""
    code, said = _said(body)
    shown = endpoint.shown(said) if said else "no reason given"
    where = f"{endpoint.host} answered {status}"
    if status == 402 or (status in (400, 403, 429) and _is_quota(code, said)):
        hint = "check the plan and the billing of this provider"
        return Fault(ProviderError("provider_quota", f"{where}: {shown}", hint=hint))
    if status == 407:
        text = "the proxy that the environment names for it wants a name and a password"
        hint = "write them into HTTP_PROXY: http://NAME:PASSWORD@HOST:PORT"
        return Fault(ProviderError("provider_refused", f"{where}: {text}", hint=hint))
    if status in (401, 403):
        # A refusal of the key may quote it in a form that cannot be recognised: it is not shown.
        reason = "" if status == 401 else f": {shown}"
        return Fault(
            ProviderError(
                "provider_auth",
                f"{where}: the API key is missing, wrong or not allowed to do this{reason}",
                hint=f"check {endpoint.key_from}",
            )
        )
    if status in (400, 413, 422) and _is_overflow(code, said):
        return Fault(ContextOverflow("context_overflow", f"{where}: {shown}"))
    if status == 404:
        return Fault(
            ProviderError(
                "provider_model",
                f"{where} for model '{model}': {shown}",
                hint="check the model's name and the endpoint of the provider template",
            )
        )
    if 300 <= status < 400:
        text = f"{where}: it redirects, and a key is never sent on to another address"
        return Fault(
            ProviderError("provider_redirect", text, hint="use the final address as endpoint")
        )
    if status in (408, 409, 429) or status >= 500:
        return _busy(f"{where}: {shown}", headers, patience)
    return Fault(ProviderError("provider_refused", f"{where}: {shown}"))


def _busy(text: str, headers: Mapping[str, str], patience: Patience) -> Fault:
    wait = retry_after(headers)
    if headers.get("x-should-retry") == "false":
        return Fault(ProviderBusy("provider_busy", text, retryable=True))
    if wait is not None and wait > patience.retry_after:
        said = f"{text} (it asks to wait {wait:.0f} s)"
        return Fault(ProviderBusy("provider_busy", said, retryable=True))
    return Fault(ProviderBusy("provider_busy", text, retryable=True), patience.attempts, wait)


def inside_stream(error: Any, model: str, endpoint: Endpoint, patience: Patience) -> Fault:
    """An error object in a stream that began well: judged by the status that it names."""
    body = msgspec.json.encode({"error": error}).decode()
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and code >= 400:
        return of_status(code, {}, body, model, endpoint, patience)
    name, said = _said(body)
    if _is_overflow(name, said):
        return of_status(400, {}, body, model, endpoint, patience)
    text = f"{endpoint.host} broke off its answer: {endpoint.shown(said)}"
    return Fault(ProviderError("provider_failed", text, retryable=True), patience.attempts)


def of_body(data: bytes, model: str, endpoint: Endpoint, patience: Patience) -> Fault:
    """A whole object with an error in it, though the status was a success."""
    try:
        error = msgspec.json.decode(data)["error"]
    except (msgspec.MsgspecError, TypeError, KeyError, RecursionError):
        return garbage(endpoint, "it sent an object instead of a stream", data)
    return inside_stream(error, model, endpoint, patience)


def of_connection(error: BaseException, endpoint: Endpoint, patience: Patience) -> Fault:
    """No connection, or one that was lost before the answer began."""
    causes = list(_causes(error))
    names = {type(cause).__name__ for cause in causes}
    attempts = patience.attempts
    hint = "check the endpoint of the provider template, and the network"
    if names & _OF_A_PROXY:
        said = next(str(cause) for cause in causes if type(cause).__name__ in _OF_A_PROXY)
        why = f"the proxy that the environment names for it failed: {endpoint.shown(said)}"
        hint = "check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY of the daemon's environment"
    elif any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        why, attempts = "its certificate is not trusted", 1
        hint = "name the file of its authority in SSL_CERT_FILE, in the daemon's environment"
    elif any(isinstance(cause, ssl.SSLError) for cause in causes):
        why = "TLS failed"
    elif any(isinstance(cause, socket.gaierror) for cause in causes):
        why = "its name cannot be resolved"
    elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        why = "the connection was refused: nothing listens there"
        # A server on this machine that is not running will not be in half a second either.
        attempts = 1 if endpoint.loopback else attempts
    elif "ClientResponseError" in names:
        why = "what it answered is no HTTP that can be read"
    elif any("Timeout" in name for name in names):
        why = "no connection in time"
    else:
        why = "the connection was lost before an answer"
    error_of_ours = ProviderBusy(
        "provider_unreachable",
        f"{endpoint.host} is out of reach: {why}",
        hint=hint,
        retryable=True,
    )
    return Fault(error_of_ours, attempts)


def cut(endpoint: Endpoint, length: int, patience: Patience) -> Fault:
    """A stream that ended before the model said that it had finished."""
    text = f"{endpoint.host} cut its answer off after {length} characters"
    return Fault(ProviderError("provider_cut", text, retryable=True), patience.attempts)


def garbage(endpoint: Endpoint, why: str, data: bytes = b"") -> Fault:
    """An answer that is no chat completion."""
    shown = f"; it began with {endpoint.shown(data.decode(errors='replace'))!r}" if data else ""
    return Fault(
        ProviderError(
            "provider_garbage",
            f"{endpoint.host} gave no valid answer: {why}{shown}",
            hint="check that the endpoint is an OpenAI-compatible base URL, such as https://host/v1",
        )
    )


def silence(endpoint: Endpoint, seconds: float, what: str, attempts: int) -> Fault:
    """A limit of time was reached."""
    text = f"{endpoint.host} {what} within {seconds:g} s"
    return Fault(TimedOut("provider_timeout", text), attempts)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the endpoint asks to wait: milliseconds, seconds or a date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            seconds = float(text) / unit
        except ValueError:
            continue
        return seconds if seconds >= 0 else None
    try:
        return max(
            0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time()
        )
    except (ValueError, OverflowError):
        return None


def _said(body: str) -> tuple[str, str]:
    """The code and the words in an error's body, whichever of the usual shapes it has."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return "", body
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("error", value)
    if not isinstance(value, dict):
        return "", str(value)
    code = value.get("code") or value.get("type") or ""
    text = value.get("message") or value.get("detail") or body
    kinds = {str(value.get("code")), str(value.get("type"))}
    known = kinds & (_OVERFLOW_CODES | _QUOTA_CODES)
    return (known.pop() if known else str(code)), str(text)


def _is_quota(code: str, said: str) -> bool:
    return code in _QUOTA_CODES or any(words in said.lower() for words in _QUOTA_WORDS)


def _is_overflow(code: str, said: str) -> bool:
    return code in _OVERFLOW_CODES or any(words in said.lower() for words in _OVERFLOW_WORDS)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__
