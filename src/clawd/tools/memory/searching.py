"""Which notes answer a question: by words, by pairs of characters, by meaning, put together.

What a search costs is bounded by how common its words are, not by how many notes there are: a
word that thousands of notes have tells little, and is left to rarer ones beside it; when there are
none, the newest notes that have it are the answer.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from clawd.errors import Invalid
from clawd.tools.memory.entry import Entry
from clawd.tools.memory.index import Index
from clawd.tools.memory.note import check_id
from clawd.tools.memory.terms import pairs_of, runs, words

COMMON_ROWS = 1500
"""A word that more notes have is common."""
RANKED_ROWS = 3000
"""Of about so many notes the ranks are computed, at most."""
RECENCY = 0.1
"""How much better the rank of a note of today is than that of a very old one."""
RECENT_DAYS = 30.0

_FUSION = 60.0
_WEIGHTS = "4.0, 3.0, 1.0"
_SUBSTRING = 3
_SCANNED_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Found:
    """A note that answers, its score, and by what it was found: ``id``, ``words``, ``meaning``."""

    note: Entry
    score: float
    ways: tuple[str, ...]


def search(
    index: Index, question: str, limit: int, model: str = "", wanted: array[float] | None = None
) -> list[Found]:
    """The best notes, the best first; ``wanted`` is the question's vector by that model."""
    wide = max(20, 2 * limit)
    lists: list[tuple[str, list[int]]] = [
        ("words", by_words(index, words(question), wide)),
        ("words", by_pairs(index, runs(question), wide)),
    ]
    if not any(rows for _, rows in lists):
        lists.append(("words", by_part(index, question, wide)))
    if wanted is not None:
        near = index.codes.nearest(model, wanted, wide)
        lists.append(("meaning", _recent_first(index, near)))
    scores: Counter[int] = Counter()
    ways: dict[int, dict[str, None]] = defaultdict(dict)
    for way, rows in lists:
        for rank, row in enumerate(rows, 1):
            # Millionths: where a note stands in each list tells, not by how much it leads.
            scores[row] += round(1e6 / (_FUSION + rank))
            ways[row][way] = None
    best = [row for row, _ in scores.most_common(limit)]
    known = index.rows(best) if best else {}
    found = [Found(known[row], scores[row] / 1e6, tuple(ways[row])) for row in best]
    return _named_first(index, question, found, limit)


def by_words(index: Index, terms: Sequence[str], limit: int) -> list[int]:
    """The rows that have the words: first those with all of the rarer ones, then with any."""
    known = [(rows, term) for term in terms if (rows := count(index, "words", term))]
    rare = sorted(each for each in known if each[0] <= COMMON_ROWS)
    if not rare:
        return _newest(index, "words", [term for _, term in known], limit)
    chosen: list[str] = []
    ranked = 0
    for rows, term in rare:
        ranked += rows
        if chosen and ranked > RANKED_ROWS:
            break
        chosen.append(term)
    found = _ranked(index, "words", " AND ".join(map(quoted, chosen)), limit)
    if len(chosen) > 1 and len(found) < limit:
        any_of = _ranked(index, "words", " OR ".join(map(quoted, chosen)), limit)
        found = list(dict.fromkeys([*found, *any_of]))
    return found[:limit]


def by_pairs(index: Index, parts: Sequence[str], limit: int) -> list[int]:
    """The rows that have these runs of characters, or most pairs of them."""
    if not parts:
        return []
    whole = " AND ".join(_run_query(part) for part in parts[:8])
    found = _bounded(index, whole, limit)
    if len(found) < limit:
        every = dict.fromkeys(pair for part in parts for pair in list(pairs_of(part))[:-1])
        known = sorted(
            (rows, pair)
            for pair in list(every)[:48]
            if 0 < (rows := count(index, "pairs", pair)) <= COMMON_ROWS
        )
        if known:
            any_of = " OR ".join(quoted(pair) for _, pair in known[:16])
            found = list(dict.fromkeys([*found, *_ranked(index, "pairs", any_of, limit)]))
    return found[:limit]


def by_part(index: Index, question: str, limit: int) -> list[int]:
    """For words that no note has: words that begin so, then texts that hold them anywhere."""
    terms = [term for term in words(question) if len(term) >= _SUBSTRING]
    if not terms:
        return []
    begun = " OR ".join(f"{quoted(term)}*" for term in terms)
    found = _first(index, "words", begun, limit)
    if found:
        return found
    longest = max(terms, key=len)
    pattern = "%" + "".join(f"\\{c}" if c in "%_\\" else c for c in longest) + "%"
    rows = index.run(
        "SELECT row FROM (SELECT row, title, text FROM note ORDER BY row DESC LIMIT ?)"
        " WHERE text LIKE ? ESCAPE '\\' OR title LIKE ? ESCAPE '\\' LIMIT ?",
        (_SCANNED_ROWS, pattern, pattern, limit),
    )
    return [row for (row,) in rows]


def count(index: Index, table: str, term: str, most: int = COMMON_ROWS) -> int:
    """How many notes have the word; counted to one more than ``most``."""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {table} MATCH ? LIMIT ?)"  # noqa: S608 - a table of our own
    return int(index.run(sql, (quoted(term), most + 1))[0][0])


def quoted(term: str) -> str:
    """A word as a query has it: never an operator."""
    return '"' + term.replace('"', '""') + '"'


def _run_query(run: str) -> str:
    codes = list(pairs_of(run))
    if len(codes) == 1:
        # One character: any pair that it begins, and itself at the end of a run.
        return f"{quoted(codes[0])}*"
    return '"' + " ".join(codes[:-1]) + '"'


def _bounded(index: Index, query: str, limit: int) -> list[int]:
    """By rank where few have it, else the newest."""
    sql = "SELECT count(*) FROM (SELECT 1 FROM pairs WHERE pairs MATCH ? LIMIT ?)"
    if index.run(sql, (query, COMMON_ROWS + 1))[0][0] > COMMON_ROWS:
        return _first(index, "pairs", query, limit)
    return _ranked(index, "pairs", query, limit)


def _newest(index: Index, table: str, terms: Sequence[str], limit: int) -> list[int]:
    if not terms:
        return []
    found = _first(index, table, " AND ".join(map(quoted, terms)), limit)
    return found or _first(index, table, quoted(terms[0]), limit)


def _first(index: Index, table: str, query: str, limit: int) -> list[int]:
    """The rows that match, the latest first, without a rank."""
    sql = f"SELECT rowid FROM {table} WHERE {table} MATCH ? ORDER BY rowid DESC LIMIT ?"  # noqa: S608 - a table of our own
    return [row for (row,) in index.run(sql, (query, limit))]


def _ranked(index: Index, table: str, query: str, limit: int) -> list[int]:
    weights = _WEIGHTS if table == "words" else "4.0, 1.0"
    sql = (
        f"SELECT rowid, bm25({table}, {weights}) AS score FROM {table}"  # noqa: S608 - a table of our own
        f" WHERE {table} MATCH ? ORDER BY score LIMIT ?"
    )
    # The smaller the better, and below zero.
    return _recent_first(index, [(row, -score) for row, score in index.run(sql, (query, limit))])


def _recent_first(index: Index, scored: Sequence[tuple[int, float]]) -> list[int]:
    """By score, in which recency counts a little."""
    if not scored:
        return []
    marks = ", ".join("?" * len(scored))
    sql = f"SELECT row, changed FROM note WHERE row IN ({marks})"  # noqa: S608 - question marks
    changed: dict[int, float] = dict(index.run(sql, [row for row, _ in scored]))
    now = time.time()

    def score(each: tuple[int, float]) -> float:
        row, value = each
        days = max(0.0, now - changed.get(row, 0.0)) / 86_400
        return value * (1 + RECENCY * 0.5 ** (days / RECENT_DAYS)) if value > 0 else value

    return [row for row, _ in sorted(scored, key=score, reverse=True)]


def _named_first(index: Index, question: str, best: list[Found], limit: int) -> list[Found]:
    """A question that is a note's id is answered by that note first."""
    try:
        note = index.named(f"{check_id(question)}.md")
    except Invalid:
        return best
    if note is None:
        return best
    others = [found for found in best if found.note.row != note.row]
    return [Found(note, 1.0, ("id",)), *others][:limit]
