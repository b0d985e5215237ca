"""Bounds on what a server may say, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

MOST_LISTED = 1000
"""Tools of one server that are looked at."""
MOST_OFFERED = 128
"""Tools of one server that a session gets."""
OFFERED_BYTES = 256 * 1024
"""What all declarations of one server may take, as JSON."""
SCHEMA_BYTES = 64 * 1024
SCHEMA_DEPTH = 32
DESCRIPTION_CHARACTERS = 4096
TOOL_NAME = 128
FULL_NAME = 64
"""Model endpoints take no longer name of a tool."""
PARAMETER_NAME = 64

LINE_BYTES = 4 * 1024 * 1024
"""One message of a server."""
NOISE_LINES = 200
"""Lines that are no messages, before a server is taken for something else."""
NOISE_SHOWN = 100
LAST_WORDS = 2000
MESSAGES_AT_ONCE = 5000
MESSAGES_PER_SECOND = 1000.0

GRACE_SECONDS = 1.0
"""For a server to end by itself once its input is closed, and again once it is told to."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take, in seconds, and how a server that fails is treated."""

    start: float = 30.0
    """From the start of a server to its list of tools."""
    prepare: float = 3.0
    """How long a turn waits for servers that are starting."""
    back: float = 5.0
    """How long a call waits for a server that is being restarted."""
    pause: float = 1.0
    """Before the first restart; four times as long before each further one."""
    longest_pause: float = 60.0
    failures: int = 3
    """So many failures within ``window`` park a server that is a command."""
    window: float = 60.0
    starts: int = 5
    """So many starts in a row that came to nothing do so too."""
