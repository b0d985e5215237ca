"""What of the notes belongs to a turn that begins: little, quickly found, and often nothing.

A note is recalled when enough of what the first line says is in it: the rarer a word, the more it
says, and a word in a title or a tag says twice as much. No model and no network is asked.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator

from clawd.tools.memory.entry import Entry
from clawd.tools.memory.index import Index
from clawd.tools.memory.searching import quoted
from clawd.tools.memory.terms import telling, telling_pairs

KNOWN_ROWS = 300
"""A word that more notes have recalls none of them."""
SHARE = 0.33
"""How much of what is said a note must have."""
_COUNTED = 6
"""Of a long text only so many words are asked for: it may be about several things."""
_COUNTED_PAIRS = 12
_FEW = 20
_ASKED = 16


def recall(index: Index, said: str, limit: int) -> list[Entry]:
    """The notes that belong to what was said, the best first; mostly none."""
    notes = index.count()
    if not notes:
        return []
    scores: dict[int, float] = defaultdict(float)
    _add(index, scores, "words", "{title tags}", telling(said)[:_ASKED], _COUNTED, notes)
    _add(index, scores, "pairs", "title", telling_pairs(said), _COUNTED_PAIRS, notes)
    enough = [row for row, score in scores.items() if score >= SHARE]
    best = heapq.nlargest(4 * limit, enough, key=scores.__getitem__)
    found = [*index.rows(best).values()] if best else []
    # Of those that say as much, the newer.
    found.sort(key=lambda note: (-round(scores[note.row], 3), -note.changed))
    return found[:limit]


def _add(
    index: Index,
    scores: dict[int, float],
    table: str,
    titles: str,
    terms: list[str],
    counted: int,
    notes: int,
) -> None:
    """Give each row its share of what the terms say."""
    if not terms:
        return
    found = {term: set(_rows(index, table, quoted(term))) for term in terms}
    weights = {term: _weight(len(rows), notes) for term, rows in found.items()}
    whole = sum(sorted(weights.values(), reverse=True)[:counted])
    if whole <= 0:
        return
    for term, rows in found.items():
        if not rows or len(rows) > KNOWN_ROWS:
            continue
        share = weights[term] / whole
        for row in rows:
            scores[row] += share
        for row in rows.intersection(_rows(index, table, f"{titles} : {quoted(term)}")):
            scores[row] += share


def _rows(index: Index, table: str, query: str) -> Iterator[int]:
    sql = f"SELECT rowid FROM {table} WHERE {table} MATCH ? LIMIT ?"  # noqa: S608 - a table of our own
    return (row for (row,) in index.run(sql, (query, KNOWN_ROWS + 1)))


def _weight(rows: int, notes: int) -> float:
    """How much a word says that so many of all notes have; of few notes, all say about as much."""
    notes, rows = max(notes, _FEW), max(rows, 1)
    return math.log(1 + (max(0, notes - rows) + 0.5) / (rows + 0.5))
