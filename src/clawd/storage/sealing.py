"""Records whose content is sealed on disk, while ids, times and states can be read there.

A sealed record has its content left out and, in ``sealed``, what was left out: so a line keeps the
form that every line of its file has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from clawd.keyring import KeyMissing, Keyring, key_of

MARK = b'"sealed"'
"""What every line of a sealed record has, and hardly any other."""


class Sealable(Protocol):
    """A record (a ``msgspec.Struct``) that can be sealed: by id, with room for the seal."""

    @property
    def id(self) -> str:
        """What the record is known by."""
        ...

    @property
    def sealed(self) -> str:
        """The seal of what was left out, "" when nothing was."""
        ...


Record = TypeVar("Record")


class Sealer(Protocol[Record]):
    """How a log seals and opens its records."""

    def wanted(self, record: Record) -> bool:
        """Whether the record is to be sealed."""
        ...

    def sealed(self, record: Record) -> Record:
        """The record as it is to be written."""
        ...

    def opened(self, record: Record) -> Record:
        """A record as it was read; ``ValueError``: a broken seal, ``StorageError``: no key."""
        ...

    def outdated(self, record: Record) -> bool:
        """Whether a record, as read and not opened, would be written in another way now."""
        ...


@dataclass(frozen=True, slots=True)
class Sealing:
    """The keys, and whose content they seal."""

    ring: Keyring
    private: Callable[[str], bool]
    """Whether a session wants its content sealed."""
    look_again: Callable[[], object] = lambda: None
    """Reads the keys anew (blocking): one that was missing may be there now."""

    def sealer(
        self,
        blank: Callable[[Any], dict[str, Any]],
        owners: Callable[[Any], Iterable[str]],
        *,
        lenient: bool = False,
    ) -> Seals[Any]:
        """For records of which ``blank`` gives the fields to leave out, with what stands there.

        Sealed is what belongs to a private session. ``lenient`` leaves a record closed whose key
        is not there, instead of refusing the file.
        """
        return Seals(
            self.ring, blank, lambda record: any(map(self.private, owners(record))), lenient
        )


class Seals(Generic[Record]):
    """The sealer of one kind of records."""

    def __init__(
        self,
        ring: Keyring,
        blank: Callable[[Record], dict[str, Any]],
        wanted: Callable[[Record], bool],
        lenient: bool,
    ) -> None:
        self._ring = ring
        self._blank = blank
        self.wanted = wanted
        self._lenient = lenient

    def sealed(self, record: Record) -> Record:
        """The record as it is to be written."""
        if not self.wanted(record) or cast("Sealable", record).sealed:
            return record
        left = self._left(record)
        whole, rest = msgspec.to_builtins(record), msgspec.to_builtins(left)
        hidden = {name: value for name, value in whole.items() if rest.get(name) != value}
        if not hidden:
            return record
        seal = self._ring.seal(msgspec.json.encode(hidden), _about(record))
        return cast("Record", msgspec.structs.replace(left, sealed=seal))

    def opened(self, record: Record) -> Record:
        """The record with its content; one that was not sealed as it is."""
        seal = cast("Sealable", record).sealed
        if not seal:
            return record
        try:
            hidden = msgspec.json.decode(self._ring.opened(seal, _about(record)))
        except KeyMissing:
            if self._lenient:
                return record
            raise
        bare = msgspec.structs.replace(cast("msgspec.Struct", record), sealed="")
        now, left = msgspec.to_builtins(bare), msgspec.to_builtins(self._left(bare))
        # What was said of a record while it was closed stands beside the seal, and is newer.
        found = {name: v for name, v in hidden.items() if now.get(name) == left.get(name)}
        return msgspec.convert(now | found, type(record))

    def outdated(self, record: Record) -> bool:
        """Whether a record, as read and not opened, would be written in another way now."""
        seal = cast("Sealable", record).sealed
        if not self.wanted(record):
            return bool(seal)
        if seal:
            return key_of(seal) != self._ring.current
        return bool(self._left(record) != record)

    def _left(self, record: Any) -> Any:
        return msgspec.structs.replace(record, **self._blank(record))


def _about(record: Any) -> bytes:
    return f"{type(record).__name__}\n{record.id}".encode()
