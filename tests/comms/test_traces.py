"""What the guards count by: bounded in memory, and never forgotten in a limit's favour."""

from __future__ import annotations

from itertools import count
from typing import Any

from clawd.comms.guards import Guards
from clawd.comms.models import AsyncTask, SessionMessage
from clawd.comms.restoring import restore_messages
from clawd.comms.traces import KEPT, Traces
from clawd.comms.windows import Window
from clawd.config.schema import Limits
from clawd.ids import made_at, new_id, seconds_of, timestamp
from clawd.lineage import MAX_PATH, Lineage, begin

_numbers = count()


def message(trace: str, **more: Any) -> SessionMessage:
    """A message from ``a`` to ``b`` that has been read."""
    fields: dict[str, Any] = {
        "id": f"msg-{next(_numbers):08}",
        "from_": "a",
        "to": "b",
        "content": "x",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "read": True,
        "state": "read",
        "lineage": Lineage(trace, "turn-1", 1, ("a",)),
    }
    return SessionMessage(**fields | more)


def test_a_trace_that_was_let_go_is_counted_anew() -> None:
    """However many traces come between, its messages count, and its turns never too low."""
    first = new_id("trace")
    stored = [message(first) for _ in range(7)]
    done = AsyncTask(
        id="task-1", from_session="a", to_session="b", task="t", status="completed",
        created_at="2026-01-01T00:00:00.000Z", attempt=2, lineage=Lineage(first, "turn-1", 1),
    )  # fmt: skip
    traces = Traces(lambda trace: (stored, [done]) if trace == first else ((), ()))
    for each in stored:
        traces.stored(each)
        traces.begun(first, "b", each.timestamp)
    for _ in range(2 * KEPT + 1):
        traces.of(new_id("trace"))
    assert traces.find(first) is None
    assert len(traces.recent()) <= 2 * KEPT
    assert traces.exchanged(first, "b", "a") == 7
    assert traces.of(first).turns >= 7


def test_loading_more_traces_than_are_kept_halves_no_count() -> None:
    """What a mailbox holds of old traces is at hand whole or not at all."""
    ids = [new_id("trace") for _ in range(2 * KEPT + 10)]
    mail = [message(trace) for trace in ids for _ in range(2)]
    by_trace = {trace: mail[2 * n : 2 * n + 2] for n, trace in enumerate(ids)}
    traces = Traces(lambda trace: (by_trace[trace], ()))
    guards = Guards(lambda _: Limits(), lambda _: None, traces)
    restore_messages(mail, traces, guards)
    assert len(traces.recent()) <= 2 * KEPT
    assert all(traces.exchanged(trace, "a", "b") == 2 for trace in (ids[0], ids[KEPT], ids[-1]))


def test_what_is_not_stored_after_all_does_not_count() -> None:
    """A message that the disk refused is taken off again."""
    traces = Traces(lambda _: ((), ()))
    trace = new_id("trace")
    for by in (1, 1, -1):
        traces.stored(message(trace), by)
    assert traces.exchanged(trace, "a", "b") == 1


def test_a_window_goes_on_after_a_start_whatever_the_clock_did() -> None:
    """What lies in the future, by a clock that was set back, counts as just now."""
    window, now = Window(60.0), 1_000_000.0
    for ago in (-500.0, 1.0, 59.0, 61.0, 5000.0):
        window.restore("a", timestamp(now - ago), now)
    window.restore("a", "no time", now)
    window.add("a")
    assert (window.count("a"), window.count("b")) == (4, 0)


def test_a_broadcast_before_a_start_is_one_send() -> None:
    """One turn's words to several count once, other words again."""
    traces = Traces(lambda _: ((), ()))
    guards = Guards(lambda _: Limits(), lambda _: None, traces)
    trace, stamp = new_id("trace"), made_at(new_id("now"))
    mail = [message(trace, to=to, timestamp=stamp) for to in "bcd"]
    restore_messages([*mail, message(trace, content="y", timestamp=stamp)], traces, guards)
    assert guards.sends.count("a") == 2


def test_a_path_is_bounded_and_hops_are_not() -> None:
    """However long a chain, its lineage takes no more room."""
    lineage = begin()
    for number in range(100):
        lineage = lineage.step(f"turn-{number}", f"s{number}")
    assert (lineage.hops, len(lineage.path), lineage.path[-1]) == (100, MAX_PATH, "s99")
    back = lineage.back("task-1", "worker", 3, lineage.path[:3])
    assert (back.hops, len(back.path), back.path[-1]) == (3, 3, "worker")


def test_an_id_tells_when_it_was_made() -> None:
    """To the millisecond; what is no id of ours tells nothing."""
    first = made_at(new_id("trace"))
    assert seconds_of(made_at(new_id("trace"))) - seconds_of(first) < 60
    assert [made_at(text) for text in ("", "msg-", "msg-UPPER00000", "trace-zzzzzzzzzzzz")] == [
        ""
    ] * 4
