"""Nearness in meaning, in two steps: one bit of each number finds the few worth a closer look.

A vector of 1,536 numbers is kept as it is, and once more as the 1,536 bits that say which of them
are positive. How many bits two vectors differ in is one operation on two integers, and those that
differ least hold the nearest ones; only these are compared number by number. That is a few
milliseconds for 20,000 notes, in plain Python.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Callable, Sequence
from operator import mul
from typing import Any

LOOKED_AT = 128
"""How many are compared number by number, at least."""


class Codes:
    """The bits of all vectors of one model, held while they are in use."""

    def __init__(self, run: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]) -> None:
        self._run = run
        self._model = ""
        self._codes: dict[int, int] = {}
        self._late: dict[int, bytes] = {}

    def forget(self) -> None:
        """Read them anew when they are asked for."""
        self._model = ""
        self._codes.clear()
        self._late.clear()

    def changed(self, row: int | None, digest: bytes | None) -> None:
        """A row came with this digest, or went."""
        if not self._model or row is None:
            return
        if digest is None:
            self._codes.pop(row, None)
            self._late.pop(row, None)
        else:
            self._late[row] = digest

    @staticmethod
    def code(numbers: array[float]) -> bytes:
        """The bits of a vector."""
        if not numbers:
            return b""
        bits = "".join("1" if number > 0 else "0" for number in numbers)
        return int(bits, 2).to_bytes((len(bits) + 7) // 8)

    def nearest(self, model: str, wanted: array[float], limit: int) -> list[tuple[int, float]]:
        """The rows nearest to a vector of length 1, with their cosines, the nearest first."""
        self._load(model)
        bits = int.from_bytes(self.code(wanted))
        differing = ((code ^ bits).bit_count() for code in self._codes.values())
        closest = heapq.nsmallest(
            max(LOOKED_AT, 2 * limit), zip(differing, self._codes, strict=True)
        )
        rows = [row for _, row in closest]
        marks = ", ".join("?" * len(rows))
        found = self._run(
            "SELECT row, numbers FROM note JOIN vector ON vector.digest = note.digest"  # noqa: S608 - question marks
            f" WHERE model = ? AND row IN ({marks})",
            (model, *rows),
        )
        near = [(row, _cosine(wanted, numbers)) for row, numbers in found]
        return heapq.nlargest(limit, near, key=lambda each: each[1])

    def _load(self, model: str) -> None:
        if self._model != model:
            rows = self._run(
                "SELECT row, code FROM note JOIN vector ON vector.digest = note.digest"
                " WHERE model = ?",
                (model,),
            )
            self._codes = {row: int.from_bytes(code) for row, code in rows}
            self._model, self._late = model, {}
        for row, digest in self._late.items():
            sql = "SELECT code FROM vector WHERE digest = ? AND model = ?"
            for (code,) in self._run(sql, (digest, model)):
                self._codes[row] = int.from_bytes(code)
        self._late.clear()


def unit(numbers: Sequence[float]) -> array[float] | None:
    """The vector with length 1; ``None`` for one that has no direction."""
    try:
        length = math.sqrt(sum(number * number for number in numbers))
    except OverflowError:
        return None
    if not numbers or not math.isfinite(length) or length == 0:
        return None
    return array("f", [number / length for number in numbers])


def _cosine(wanted: array[float], kept: bytes) -> float:
    numbers = array("f")
    numbers.frombytes(kept)
    if len(numbers) != len(wanted):
        return -1.0
    return float(sum(map(mul, wanted, numbers)))
