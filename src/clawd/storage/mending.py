"""Taking damage out of a log without losing what was there: set aside first, then cut."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clawd.errors import StorageError
from clawd.ids import now
from clawd.storage.appending import AppendFiles, NotWritten
from clawd.storage.failures import storage_error
from clawd.storage.files import replace_file, sync_file, sync_folder, write_all
from clawd.storage.lines import PIECE_BYTES, copy
from clawd.storage.parsing import Line

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Problem:
    """Damage that was met in a log; ``kept_in`` is the file that has the bytes now.

    ``line`` counts from 1 and ``offset`` is in bytes, both in the file as it was found.
    """

    path: Path
    line: int
    offset: int
    reason: str
    kept_in: Path | None = None

    def __str__(self) -> str:
        kept = f"; kept in {self.kept_in.name}" if self.kept_in else ""
        return f"{self.path}: line {self.line} (byte {self.offset}) {self.reason}{kept}"


def described(path: Path, damaged: Sequence[Line[Any]]) -> list[Problem]:
    """What is wrong with these lines, while nothing is done about it."""
    return [Problem(path, line.number, line.offset, _fault(line)) for line in damaged]


def mend(path: Path, descriptor: int, damaged: Sequence[Line[Any]]) -> list[Problem]:
    """Set the bad ones of these lines aside, put the others right, and say what was done.

    Never raises for what the disk refuses: the file then stays as it is, and the problems say so.
    """
    torn = damaged[-1] if damaged[-1].reason and not damaged[-1].ended else None
    rejected = [line for line in damaged if line.reason and line is not torn]
    places: dict[int, Path] = {}
    left = ""
    try:
        if torn is not None:
            places[torn.number] = _keep_torn(path, descriptor, torn)
        if rejected:
            aside = path.with_name(f"{path.name}.rejected")
            _keep_rejected(aside, descriptor, rejected)
            places |= {line.number: aside for line in rejected}
        _put_right(path, descriptor, damaged)
    except OSError as failure:
        left = f"; the file was left as it is: {storage_error(path, failure)}"
    except NotWritten as failure:
        left = f"; the file was left as it is: {storage_error(path, failure.failure)}"
    except StorageError as failure:
        left = f"; the file was left as it is: {failure}"
    return [
        Problem(path, line.number, line.offset, _say(line, torn) + left, places.get(line.number))
        for line in damaged
        if line.reason or len(line.records) > 1
    ]


def _fault(line: Line[Any]) -> str:
    if line.reason and not line.ended:
        return f"is incomplete ({line.length} bytes)"
    if len(line.records) > 1:
        return f"holds {len(line.records)} records"
    return line.reason or "has no end (the LF is missing)"


def _say(line: Line[Any], torn: Line[Any] | None) -> str:
    if line is torn:
        return f"is incomplete ({line.length} bytes) and was cut off"
    return line.reason or f"held {len(line.records)} records; each has its own line now"


def _keep_torn(path: Path, descriptor: int, line: Line[Any]) -> Path:
    moment = now().replace(":", "").replace("-", "")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    for count in range(1000):
        aside = path.with_name(f"{path.name}.torn-{moment}{f'-{count}' if count else ''}")
        try:
            kept = os.open(aside, flags, 0o600)
        except FileExistsError:
            continue
        try:
            for part in copy(descriptor, line.offset, line.length):
                write_all(kept, part)
            sync_file(kept)
        finally:
            os.close(kept)
        sync_folder(path.parent)
        return aside
    raise FileExistsError(17, "too many torn lines are kept already", os.fspath(path))


def _keep_rejected(aside: Path, descriptor: int, lines: Sequence[Line[Any]]) -> None:
    files = AppendFiles(1)
    waiting: list[bytes] = []
    try:
        for line in lines:
            for entry in _entries(descriptor, line):
                waiting.append(entry)
                if sum(map(len, waiting)) > PIECE_BYTES or len(waiting) > 1000:
                    files.append(os.fspath(aside), b"".join(waiting))
                    waiting.clear()
        if waiting:
            files.append(os.fspath(aside), b"".join(waiting))
    finally:
        files.close()


def _entries(descriptor: int, line: Line[Any]) -> Iterator[bytes]:
    """The line as JSON, in several parts when it is long; what is not UTF-8 is escaped."""
    parts = -(-line.length // PIECE_BYTES)
    for count, part in enumerate(copy(descriptor, line.offset, line.length), 1):
        entry: dict[str, Any] = {
            "time": now(),
            "line": line.number,
            "offset": line.offset,
            "reason": line.reason,
        }
        if parts > 1:
            entry |= {"part": count, "parts": parts}
        entry["text"] = part.removesuffix(b"\n").decode("utf-8", "backslashreplace")
        yield _encoder.encode(entry) + b"\n"


def _put_right(path: Path, descriptor: int, damaged: Sequence[Line[Any]]) -> None:
    last = damaged[-1]
    if len(damaged) > 1 or last.ended or len(last.records) > 1:
        replace_file(path, _without_damage(descriptor, damaged))
        return
    # Only the end is wrong: cut it off, or give it the LF that it lacks.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    target = os.open(path, flags)
    try:
        if last.reason:
            os.ftruncate(target, last.offset)
        else:
            write_all(target, b"\n")
        sync_file(target)
    finally:
        os.close(target)


def _without_damage(descriptor: int, damaged: Sequence[Line[Any]]) -> Iterator[bytes]:
    position = 0
    for line in damaged:
        yield from copy(descriptor, position, line.offset - position)
        for _, start, end in line.records:
            yield from copy(descriptor, line.offset + start, end - start)
            yield b"\n"
        position = line.offset + line.length
    yield from copy(descriptor, position, os.fstat(descriptor).st_size - position)
