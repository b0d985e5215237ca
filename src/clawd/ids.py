"""Names of things: identifiers that sort by time, session ids, and timestamps."""

from __future__ import annotations

import functools
import os
import re
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from clawd.errors import Invalid

RESERVED_SESSION_IDS = frozenset(
    "user operator system self all broadcast none tasks stream state capabilities".split()
)
"""Ids that no session may have, compared without regard to case."""

OPERATOR = "operator"
"""The human's address: a target and a sender like any session."""

_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_FORTY_BITS = (1 << 40) - 1
_RANDOM_BYTES = 10
_DRAWN = 256 * _RANDOM_BYTES
_YEAR_MILLISECONDS = 366 * 86_400_000

_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BEGAN = time.time() - time.clock_gettime(_ELAPSED)

_lock = threading.Lock()
_last = 0
_random = b""


def new_id(kind: str) -> str:
    """A new identifier such as ``msg-01k…``: sorts by creation, also within a millisecond.

    48 bits of Unix milliseconds followed by 80 random bits, 26 characters of Crockford's base 32
    (the layout of a ULID); within one process each is greater than the one before.
    """
    global _last, _random
    with _lock:
        # One call of the system for many ids: each costs as much as everything else here.
        if not _random:
            _random = os.urandom(_DRAWN)
        bits, _random = _random[:_RANDOM_BYTES], _random[_RANDOM_BYTES:]
        value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(bits)
        if value <= _last:
            value = _last + 1 + int.from_bytes(bits[:2])
        _last = value
    return f"{kind}-{_base32(value)}"


def follow(identifiers: Iterable[str]) -> None:
    """Let later identifiers sort after these, also when the clock has been set back since.

    Those of more than a year ahead are nobody's to follow.
    """
    global _last
    digits = max((i.partition("-")[2] for i in identifiers), default="")
    if len(digits) != 26 or not set(digits) <= set(_ALPHABET):
        return
    value = 0
    for digit in digits:
        value = value << 5 | _ALPHABET.index(digit)
    with _lock:
        if value >> 80 < time.time_ns() // 1_000_000 + _YEAR_MILLISECONDS:
            _last = max(_last, value)


def steady() -> float:
    """The Unix time in seconds as if nobody set the clock since this process began.

    For what has an age or a limit. It goes on while the machine sleeps, where the system can tell.
    """
    return _BEGAN + time.clock_gettime(_ELAPSED)


def _base32(value: int) -> str:
    return f"{_ten_digits(value >> 80)}{_eight_digits(value >> 40)}{_eight_digits(value)}"


@functools.lru_cache(maxsize=8)
def _ten_digits(millisecond: int) -> str:
    # Where many ids are made, many are made within a millisecond.
    return f"{_PAIRS[millisecond >> 40 & 1023]}{_eight_digits(millisecond)}"


def _eight_digits(value: int) -> str:
    bits = value & _FORTY_BITS  # small numbers are taken apart in half the time
    return (
        f"{_PAIRS[bits >> 30]}{_PAIRS[bits >> 20 & 1023]}"
        f"{_PAIRS[bits >> 10 & 1023]}{_PAIRS[bits & 1023]}"
    )


def made_at(identifier: str) -> str:
    """When an identifier of ``new_id`` was made, as a timestamp; "" for any other."""
    digits = identifier.partition("-")[2][:10]
    if len(digits) < 10 or not set(digits) <= set(_ALPHABET):
        return ""
    value = 0
    for digit in digits:
        value = value << 5 | _ALPHABET.index(digit)
    return timestamp(value / 1000) if value < 1 << 47 else ""


def now() -> str:
    """The present time: UTC, ISO 8601, with milliseconds, as in ``2026-11-20T23:46:26.123Z``."""
    return moment(time.time_ns() // 1_000_000)


def timestamp(seconds: float) -> str:
    """A Unix time in seconds, written as clawd writes times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


@functools.lru_cache(maxsize=8)
def moment(millisecond: int) -> str:
    """A Unix time in milliseconds, as ``now`` writes it."""
    second, rest = divmod(millisecond, 1000)
    return f"{_second(second)}.{rest:03}Z"


@functools.lru_cache(maxsize=8)
def _second(second: int) -> str:
    # A turn asks for the time a dozen times within one second.
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds")[:-6]


def seconds_of(text: str) -> float:
    """The Unix time in seconds of a timestamp; ``Invalid`` when it is not ISO 8601."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("invalid_time", f"{text!r} is not an ISO 8601 time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def check_session_id(text: str) -> str:
    """The id itself, when it may name a session; ``Invalid`` with the rule when not."""
    if _SESSION_ID.fullmatch(text) is None:
        shown = ascii(text if len(text) <= 80 else text[:80] + "…")
        raise Invalid(
            "invalid_session_id",
            f"session id {shown} is not allowed",
            hint="use 1 to 64 letters, digits, _ or -, starting with a letter or digit",
        )
    if text.lower() in RESERVED_SESSION_IDS:
        raise Invalid(
            "invalid_session_id", f"session id '{text}' is reserved", hint="choose another id"
        )
    return text
