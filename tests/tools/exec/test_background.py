"""Commands in the background: started, read on, ended, and none left over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.tools.exec.conftest import Make
from tests.tools.exec.session import Session, needs_bubblewrap

from clawd.errors import NotFound, Refused
from clawd.tools.exec.background import MOST_RUNNING
from clawd.tools.exec.census import below
from clawd.tools.exec.kit import Exec
from clawd.tools.exec.results import KEPT, place_for

pytestmark = needs_bubblewrap


async def started(session: Session, command: str, **more: float) -> str:
    """Start a command; its id."""
    facts = await session.facts("exec_start", command=command, **more)
    return str(facts["id"])


async def test_it_runs_on_and_is_read_bit_by_bit(ada: Session) -> None:
    """Each reading goes on where the last one ended; a wait ends with the first news."""
    id = await started(ada, "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two")
    first = await ada.call("exec_read", id=id, offset=0)
    assert first.text.endswith("is running]\none")
    (ada.workspace / "go").touch()
    second = await ada.call("exec_read", id=id, wait_seconds=20.0)
    assert "two" in second.text
    assert "one" not in second.text
    whole = await ada.call("exec_read", id=id, offset=0)
    assert "one\ntwo" in whole.text


async def test_its_end_is_told(ada: Session) -> None:
    """An ended command can still be read, with its exit code."""
    id = await started(ada, "sleep 0.1; echo bye; exit 4")
    await ada.kit._background.get("ada", id).over.wait()
    facts = await ada.facts("exec_read", id=id, offset=0)
    assert (facts["running"], facts["exitCode"]) == (False, 4)


async def test_what_fails_at_once_says_so_at_once(ada: Session) -> None:
    """A start waits a moment: a misspelled command need not be read for."""
    answer = await ada.call("exec_start", command="no-such-program")
    assert "not found" in answer.text


async def test_a_long_output_is_read_in_pieces(ada: Session) -> None:
    """Each is bounded; the whole is in the file that is named."""
    id = await started(ada, "seq 1 50000")
    await ada.kit._background.get("ada", id).over.wait()
    text, offset, file = "", 0, ""
    while True:
        answer = await ada.call("exec_read", id=id, offset=offset)
        assert answer.facts is not None
        assert len(answer.text) < 40_000
        if answer.facts["offset"] == offset:
            break
        offset, file = answer.facts["offset"], answer.facts["file"]
    text = (ada.workspace / file).read_text()
    assert offset == len(text)
    assert text.splitlines()[-1] == "50000"


async def test_stop_ends_all_of_it(ada: Session) -> None:
    """SIGTERM lets it clean up; what ignores that is killed."""
    polite = await started(
        ada, "trap 'echo cleaned; exit' TERM; echo up; while :; do sleep .05; done"
    )
    rude = await started(
        ada, "trap '' TERM; setsid -f sleep 9994; echo up; while :; do sleep 1; done"
    )
    said = await ada.call("exec_stop", id=polite)
    assert "cleaned" in said.text
    facts = await ada.facts("exec_stop", id=rude)
    assert facts["running"] is False
    assert not below(os.getpid()).pids


async def test_a_session_has_only_so_many(ada: Session, make: Make) -> None:
    """The ninth is refused and names the others; another session is not concerned."""
    ids = [await started(ada, "echo up; sleep 9993") for _ in range(MOST_RUNNING)]
    with pytest.raises(Refused) as caught:
        await ada.call("exec_start", command="true")
    assert caught.value.code == "too_many_commands"
    assert ids[0] in caught.value.hint
    await started(make("bob"), "echo up")
    await ada.call("exec_stop", id=ids[0])
    await started(ada, "echo up")


async def test_another_sessions_command_is_as_none(ada: Session, make: Make) -> None:
    """An id alone gives no right to read or to end."""
    id = await started(ada, "echo up; sleep 9992")
    for tool in ("exec_read", "exec_stop"):
        with pytest.raises(NotFound):
            await make("bob").call(tool, id=id)


async def test_its_time_is_limited(ada: Session) -> None:
    """A background command ends after its time too, and says why."""
    id = await started(ada, "echo up; sleep 9991", timeout_seconds=0.7)
    await ada.kit._background.get("ada", id).over.wait()
    facts = await ada.facts("exec_read", id=id)
    assert facts["ended"] == "timed out after 0.7 s"


async def test_those_of_a_session_that_is_gone_end(ada: Session, make: Make, kit: Exec) -> None:
    """Also of one that may run commands no more; the others' run on."""
    bob, eve = make("bob"), make("eve", exec=False)
    mine, his = await started(ada, "echo up; sleep 9990"), await started(bob, "echo up; sleep 9989")
    await kit.settle([bob.place, eve.place])
    with pytest.raises(NotFound):
        await ada.call("exec_read", id=mine)
    assert (await bob.facts("exec_read", id=his))["running"]


async def test_close_ends_all(ada: Session, kit: Exec) -> None:
    """Nothing runs on after the daemon."""
    for _ in range(3):
        await started(ada, "trap '' TERM; setsid -f sleep 9988; echo up; sleep 9988")
    await kit.close()
    assert not below(os.getpid()).pids


async def test_the_prompt_names_what_runs(ada: Session) -> None:
    """A later turn knows of the commands that an earlier one started."""
    id = await started(ada, "echo up; sleep 9987")
    recalled = await ada.kit.recalled(ada.bench, "")
    assert id in recalled
    assert "sleep 9987" in recalled
    await ada.call("exec_stop", id=id)
    assert await ada.kit.recalled(ada.bench, "") == ""


def test_results_are_pruned(tmp_path: Path) -> None:
    """A workspace keeps the outputs of a hundred commands; the oldest go."""
    for number in range(KEPT + 20):
        place_for(f"exec-{number:05}", tmp_path).write_text("x")
    kept = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert len(kept) <= KEPT + 1
    assert kept[-1] == f"exec-{KEPT + 19:05}.txt"
