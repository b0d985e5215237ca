"""The guards and budgets, with their defaults."""

from __future__ import annotations

from clawd.config.record import Amount, Count, Positive, Record


class Limits(Record):
    """Bounds on autonomous work (`limits`, at the top or of a session).

    A session's own values replace the top-level ones key by key: see `limits_for`.
    Costs are in USD, sizes in bytes; ``None`` is no limit.
    """

    max_hops: Positive = 24
    max_messages_per_pair: Positive = 20
    max_turns_per_trace: Positive = 200
    max_task_depth: Positive = 4
    max_tasks_created: Positive = 100
    max_tasks_assigned: Positive = 1_000
    max_autonomous_turns_per_hour: Count = 120
    max_model_calls_per_turn: Positive = 50
    repeated_call_warn: Positive = 5
    repeated_call_stop: Positive = 10
    max_failed_calls_in_a_row: Positive = 5
    max_turns: Positive = 64
    max_tokens_per_trace: Positive | None = None
    max_tokens_per_day: Positive | None = None
    max_cost_per_trace: Amount | None = None
    max_cost_per_day: Amount | None = None
    max_sessions_alive: Count = 200
    max_sessions_per_hour: Count = 20
    max_session_depth: Count = 3
    max_message_bytes: Positive = 256 * 1024
    max_unread: Positive = 10_000
    max_context_bytes: Positive = 1024 * 1024
    max_line_bytes: Positive = 2 * 1024 * 1024
    sends_per_minute: Count = 60
    max_schedules: Count = 100
    min_schedule_seconds: Amount = 60.0
