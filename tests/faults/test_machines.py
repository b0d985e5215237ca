"""Messages and tasks against their models, at length; the short forms are in ``tests/comms``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from tests.comms.test_post_machine import Mail
from tests.comms.test_task_board_machine import TaskBoard
from tests.faults.ledger import Figures

STEPS = 60


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("machine", [Mail, TaskBoard])
def test_any_course_of_things(
    machine: type[RuleBasedStateMachine], length: Callable[[int], int], figures: Figures
) -> None:
    """M20 to M22: sends, turns, replies, removals, kills, torn and damaged lines, as the model."""
    courses = length(300)
    at_length = settings(
        max_examples=courses,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(machine, settings=at_length)
    figures(courses=courses, steps=f"up to {STEPS} each")
