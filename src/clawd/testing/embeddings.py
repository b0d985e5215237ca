"""The embeddings of a scripted model: vectors that a test can foresee, and faults on demand."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

SIZE = 64


class Embeddings:
    """Answers ``/embeddings``: texts that share words are near each other.

    ``same`` maps words onto others that mean the same; ``failing`` is an HTTP status to answer
    with, 0 for none; ``broken`` answers something else than vectors. ``asked`` are the bodies of
    all requests.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.same: dict[str, str] = {}
        self.failing = 0
        self.broken = False
        self.vector: Callable[[str], list[float]] = self.of

    @property
    def texts(self) -> list[str]:
        """All texts that were asked for, in their order."""
        return [text for body in self.asked for text in body["input"]]

    def of(self, text: str) -> list[float]:
        """A number for each word, at a place that the word has; never all zero."""
        numbers = [0.0] * SIZE
        for word in re.findall(r"\w+", text.casefold()) or [""]:
            known = self.same.get(word, word)
            numbers[hashlib.sha256(known.encode()).digest()[0] % SIZE] += 1.0
        return numbers

    def answer(self, body: dict[str, Any]) -> tuple[int, str]:
        """The status and the body for a request."""
        self.asked.append(body)
        if self.failing:
            return self.failing, json.dumps({"error": {"message": "no vectors today"}})
        if self.broken:
            return 200, '{"object": "list"}'
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data = [
            {"object": "embedding", "index": at, "embedding": self.vector(text)}
            for at, text in enumerate(texts)
        ]
        tokens = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return 200, json.dumps({"object": "list", "data": data, "usage": usage})
