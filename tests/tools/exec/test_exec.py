"""``exec``: what a command sees and does, how it ends, and what is told of it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from tests.tools.exec.conftest import Make
from tests.tools.exec.session import Session, needs_bubblewrap

from clawd.agent.calling import calling
from clawd.config.session import ToolSettings
from clawd.errors import Invalid, Refused
from clawd.events import Event
from clawd.sandbox import probe
from clawd.sandbox.bubblewrap import Ability
from clawd.tools.exec.census import below
from clawd.tools.exec.kit import Exec
from clawd.tools.exec.launch import Wish, prepare

pytestmark = needs_bubblewrap


async def test_a_command_runs_in_the_workspace(ada: Session) -> None:
    """It starts there, may write there, and its output and exit code are the answer."""
    answer = await ada.call("exec", command="echo text > made.txt; ls -A; pwd >&2; exit 3")
    assert answer.facts is not None
    assert answer.facts["exitCode"] == 3
    assert answer.text.startswith("[exit 3 after ")
    assert "made.txt" in answer.text
    assert str(ada.workspace) in answer.text
    assert (ada.workspace / "made.txt").read_text() == "text\n"


async def test_it_may_start_in_a_folder(ada: Session) -> None:
    """``cwd`` is a folder of the workspace, and nothing outside of it."""
    (ada.workspace / "src").mkdir()
    (ada.workspace / "out").symlink_to("/etc")
    assert f"{ada.workspace}/src" in (await ada.call("exec", command="pwd", cwd="src")).text
    for wrong in ("missing", "..", "/etc", "out", "a\0b"):
        with pytest.raises(Invalid) as caught:
            await ada.call("exec", command="pwd", cwd=wrong)
        assert caught.value.code == "invalid_cwd"


async def test_neither_the_home_nor_other_workspaces_are_seen(
    ada: Session, make: Make, home: Path, kit: Exec
) -> None:
    """The canary of config.json, the state and another session's files cannot be read (B29)."""
    bob = make("bob")
    (bob.workspace / "private.txt").write_text("canary-of-bob")
    await kit.settle([ada.place, bob.place])
    script = f"cat {home}/config.json {bob.workspace}/private.txt; ls -A {home} {home}/state"
    answer = await ada.call("exec", command=script)
    assert "canary" not in answer.text
    assert "config.json\n" not in answer.text.replace("config.json: No such file", "")
    assert "No such file or directory" in answer.text


async def test_another_workspace_within_this_one_is_empty(
    make: Make, home: Path, kit: Exec
) -> None:
    """One session's folder may lie in another's: its files are hidden all the same."""
    ada = make()
    inner = ada.workspace / "inner"
    inner.mkdir()
    (inner / "private.txt").write_text("canary-of-bob")
    bob = Session(kit, inner, make("bob").settings)
    await kit.settle([ada.place, bob.place])
    answer = await ada.call("exec", command="cat inner/private.txt; ls -A inner | wc -l")
    assert "canary" not in answer.text
    assert "\n0" in answer.text


async def test_what_is_the_daemons_stays_as_it_is(ada: Session) -> None:
    """Logs, results and identity files cannot be changed, made, moved or removed by a command."""
    (ada.workspace / "history.jsonl").write_text("kept\n")
    (ada.workspace / "SOUL.md").write_text("kept\n")
    names = (
        "history.jsonl session_messages.jsonl schedules.jsonl IDENTITY.md SOUL.md USER.md"
        " logs/x results/x .trash/x"
    )
    script = (
        f"for f in {names}; do echo bad >> $f && echo changed $f; rm -f $f && [ ! -e $f ] &&"
        " echo removed $f; done; mv SOUL.md soul && echo moved; ln -f SOUL.md linked && echo linked"
        "; mv logs away && echo moved; rm -rf results && echo removed; true"
    )
    answer = await ada.call("exec", command=script)
    said = [
        line
        for line in answer.text.splitlines()
        if not line.startswith(("environment:", "mv", "rm", "ln"))
    ]
    assert not [line for line in said if line.startswith(("changed", "moved", "linked"))]
    assert (ada.workspace / "SOUL.md").read_text() == "kept\n"
    assert (ada.workspace / "history.jsonl").read_text() == "kept\n"
    assert (ada.workspace / "USER.md").read_text() == ""


async def test_identity_files_that_are_allowed_can_be_written(make: Make) -> None:
    """``tools.identity`` names them; by default that is MEMORY.md alone."""
    ada = make(identity=["SOUL.md"])
    await ada.call("exec", command="echo mine > SOUL.md; echo mine > MEMORY.md; true")
    assert (ada.workspace / "SOUL.md").read_text() == "mine\n"
    assert (ada.workspace / "MEMORY.md").read_text() == ""


async def test_outside_text_reaches_no_identity_file(make: Make) -> None:
    """A command that may have read it cannot write one, though the session may by itself."""
    ada = make()
    await ada.call("exec", command="echo mine > MEMORY.md; true")
    ada.bench.trust.mark("a page")
    await ada.call("exec", command="echo page > page.txt; cat page.txt >> MEMORY.md; true")
    later = Session(ada.kit, ada.workspace, ada.settings)
    await later.call("exec", command="cat page.txt >> MEMORY.md; true")
    assert (ada.workspace / "MEMORY.md").read_text() == "mine\n"
    assert later.bench.trust.sources == ["a page"]
    await later.call("exec_start", command="echo bad >> MEMORY.md; true")
    allowed = make("bob", afterUntrusted=["identity"])
    allowed.bench.trust.mark("a page")
    await allowed.call("exec", command="echo page > MEMORY.md; true")
    assert (allowed.workspace / "MEMORY.md").read_text() == "page\n"


async def test_an_identity_file_that_is_a_link_is_refused(ada: Session) -> None:
    """A command could put something else in its place; so none runs, and the mend is named."""
    (ada.workspace / "mine.md").write_text("text")
    (ada.workspace / "SOUL.md").symlink_to("mine.md")
    with pytest.raises(Refused) as caught:
        await ada.call("exec", command="true")
    assert caught.value.code == "protected_link"
    assert "SOUL.md" in caught.value.message


async def test_the_environment_is_clean(ada: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """R12: no key of the daemon's environment comes to a command, nor into its arguments."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("SOME_SETTING", "canary-too")
    answer = await ada.call(
        "exec", command="env; tr '\\0' ' ' < /proc/1/cmdline; cat /proc/1/environ"
    )
    assert "canary" not in answer.text
    assert f"HOME={ada.workspace}" in answer.text


async def test_no_network_unless_allowed_and_asked_for(make: Make) -> None:
    """Not asking is without; asking needs ``tools.execNetwork``; both together are with it."""
    here = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' \\n'; echo .; ls /proc/self/ns/net -l"
    closed, opened = make("ada"), make("bob", execNetwork=True)
    machine = os.readlink("/proc/self/ns/net")
    with pytest.raises(Refused) as caught:
        await closed.call("exec", command=here, network=True)
    assert caught.value.code == "network_not_allowed"
    assert machine not in (await opened.call("exec", command=here)).text
    assert machine in (await opened.call("exec", command=here, network=True)).text


async def test_a_command_with_network_marks_the_turn(make: Make) -> None:
    """What it brought is text from outside, and so is what it wrote."""
    ada = make(execNetwork=True)
    await ada.call("exec", command="echo page > page.txt", network=True)
    assert ada.bench.trust.untrusted
    later = Session(ada.kit, ada.workspace, ada.settings)
    assert not later.bench.trust.untrusted
    await later.call("exec", command="cat page.txt")
    assert later.bench.trust.sources == ["a command with network"]


@pytest.mark.parametrize(
    ("command", "more", "code"),
    [
        ("  ", {}, "empty_command"),
        ("echo \0", {}, "nul_in_command"),
        ("x" * 200_000, {}, "command_too_long"),
        ("true", {"timeout_seconds": 601.0}, "timeout_out_of_range"),
        ("true", {"timeout_seconds": 0.0}, "timeout_out_of_range"),
    ],
)
async def test_bad_input_is_named(
    ada: Session, command: str, more: dict[str, float], code: str
) -> None:
    """B29: one clear error, with the limit and the mend; nothing runs."""
    with pytest.raises(Invalid) as caught:
        await ada.call("exec", command=command, **more)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize(
    "command",
    [
        "sleep 9999",
        "exec >&- 2>&-; sleep 9999",
        "trap '' TERM; sleep 9998 & setsid sleep 9998 & while true; do sleep 1; done",
        "kill -STOP $$",
    ],
)
async def test_time_is_limited(ada: Session, command: str) -> None:
    """What hangs, hides its output, ignores SIGTERM or stops itself ends all the same."""
    began = time.monotonic()
    facts = await ada.facts("exec", command=command, timeout_seconds=0.4)
    assert time.monotonic() - began < 3
    assert facts["ended"] == "timed out after 0.4 s"
    assert facts["exitCode"] is None


async def test_a_cancelled_call_ends_within_a_second(ada: Session) -> None:
    """Also what ignores SIGTERM and what made itself independent; nothing is left."""
    command = "trap '' TERM; setsid -f sleep 9999; echo up; while true; do sleep 1; done"
    up = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        with calling("call-1", lambda _: up.set()):
            call = group.create_task(ada.call("exec", command=command))
        await up.wait()
        began = time.monotonic()
        call.cancel()
        await asyncio.wait([call])
    assert time.monotonic() - began < 1
    assert call.cancelled()
    assert not named("sleep", "9999")


async def test_what_a_command_leaves_behind_ends_with_it(ada: Session) -> None:
    """Background children do not keep the call waiting, and are gone when it returns."""
    began = time.monotonic()
    facts = await ada.facts("exec", command="setsid -f sleep 9997; sleep 9997 & echo done")
    assert facts["exitCode"] == 0
    assert time.monotonic() - began < 2
    assert not named("sleep", "9997")


async def test_a_signal_is_named(ada: Session) -> None:
    """A command that dies of a signal has the shell's exit code, and the signal's name."""
    assert "exit 137 (SIGKILL)" in (await ada.call("exec", command="kill -9 $$")).text


async def test_output_is_streamed_and_coalesced(ada: Session) -> None:
    """Who watches sees it as it comes, some ten times a second at most."""
    told: list[str] = []
    with calling("call-1", told.append):
        await ada.call("exec", command="echo one; sleep 0.4; seq 1 20000; sleep 0.2; echo last")
    assert told[0] == "one\n"
    assert "last\n" in told[-1]
    assert len(told) < 10
    assert all(len(text) < 3000 for text in told)


async def test_a_long_output_is_cut_and_kept_whole(ada: Session) -> None:
    """R08: the answer has its start and its end; the rest is in a file that can be read."""
    answer = await ada.call("exec", command="seq 1 100000")
    assert answer.facts is not None
    assert len(answer.text) < 40_000
    assert "bytes are left out here" in answer.text
    assert "\n100000" in answer.text
    kept = ada.workspace / answer.facts["file"]
    assert kept.read_text().splitlines() == [str(n) for n in range(1, 100_001)]
    assert kept.stat().st_mode & 0o077 == 0


async def test_a_flood_is_ended(ada: Session) -> None:
    """R08: 10 GB of output end at 64 MiB, quickly, and the loop stays free meanwhile."""
    worst = 0.0

    async def beat() -> None:
        nonlocal worst
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - before - 0.01)

    async with asyncio.TaskGroup() as group:
        beating = group.create_task(beat())
        facts = await ada.facts("exec", command="head -c 10000000000 /dev/zero | tr '\\0' x")
        beating.cancel()
    assert facts["ended"] == "killed: it wrote more than 64 MiB"
    assert (ada.workspace / facts["file"]).stat().st_size == 64 * 1024 * 1024
    assert worst < 0.3


async def test_a_fork_bomb_is_bounded(ada: Session) -> None:
    """B29: it comes to some hundreds of processes, and everything of it ends."""
    most = 0
    async with asyncio.TaskGroup() as group:
        call = group.create_task(
            ada.facts("exec", command=":(){ :|:& };:; sleep 9996", timeout_seconds=2.0)
        )
        while not call.done():
            await asyncio.sleep(0.05)
            most = max(most, len(below_us()))
    assert call.result()["ended"]
    assert 100 < most < 1000
    assert not named("sleep", "9996")


async def test_memory_is_limited(make: Make) -> None:
    """One process is refused it by the kernel; many together are ended."""
    ada = make(execMemoryMib=256)
    answer = await ada.call("exec", command="python3 -c 'bytearray(300 << 20)'")
    assert "MemoryError" in answer.text
    hold = "python3 -c 'import time; x = bytearray(b\"x\") * (120 << 20); time.sleep(60)'"
    facts = await ada.facts("exec", command=f"for i in 1 2 3 4; do {hold} & done; wait")
    assert facts["ended"] == "killed: memory, it had more than 256 MiB"


async def test_a_private_session_leaves_no_plain_file(make: Make) -> None:
    """What is sealed on disk is not put beside it: a long output is cut, and that is all."""
    ada = make()
    sealed = ada.settings.model_copy(
        update={"a2a": ada.settings.a2a.model_copy(update={"encrypt": True})}
    )
    private = Session(ada.kit, ada.workspace, sealed)
    answer = await private.call("exec", command="seq 1 100000")
    assert answer.facts is not None
    assert "file" not in answer.facts
    assert "bytes are left out here" in answer.text
    assert not list((ada.workspace / "results").iterdir())


async def test_off_by_default(make: Make) -> None:
    """A session without ``tools.exec`` has none of the tools, and is told nothing of them."""
    ada = make(exec=False)
    assert ada.kit.tools(ada.bench) == {}
    assert ada.kit.permission(ada.bench) == ""


async def test_without_bubblewrap_it_refuses(
    ada: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No command runs unconfined by accident: the package and the key are named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(probe, "_found", None)
    with pytest.raises(Refused) as caught:
        await ada.call("exec", command="touch ran")
    assert caught.value.code == "no_sandbox"
    assert "apt install bubblewrap" in caught.value.hint
    assert not (ada.workspace / "ran").exists()


async def test_a_sandbox_that_fails_says_what_it_said(
    ada: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing runs when bubblewrap fails at last; the error has its words."""
    stand_in = tmp_path / "bwrap"
    stand_in.write_text("#!/bin/sh\necho 'bwrap: no more namespaces' >&2; exit 1\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(probe, "_found", (0.0, probe.Found(Ability(), str(stand_in))))
    for tool in ("exec", "exec_start"):
        with pytest.raises(Refused) as caught:
            await ada.call(tool, command="touch ran")
        assert caught.value.code == "sandbox_failed"
        assert "no more namespaces" in caught.value.message
    assert not (ada.workspace / "ran").exists()


async def test_the_opt_out_is_said_loudly(make: Make, kit: Exec, events: list[Event]) -> None:
    """``none`` works without bubblewrap; the model and, once, the operator are told."""
    ada = make(execSandbox="none", execSeconds=30)
    await kit.settle([ada.place])
    await kit.settle([ada.place])
    assert [event.code for event in events if hasattr(event, "code")] == ["exec_unconfined"]
    assert "WITHOUT a sandbox" in kit.permission(ada.bench)
    answer = await ada.call("exec", command="pwd; ulimit -c")
    assert f"{ada.workspace}\n0" in answer.text


async def test_the_opt_out_too_leaves_nothing_behind(make: Make) -> None:
    """Without a sandbox the group is ended, and what made itself independent is looked for."""
    ada = make(execSandbox="none")
    command = "trap '' TERM; setsid -f sleep 9995; (setsid sleep 9995 &) ; sleep 9995"
    facts = await ada.facts("exec", command=command, timeout_seconds=0.5)
    assert facts["ended"] == "timed out after 0.5 s"
    assert not named("sleep", "9995")


def named(*words: str) -> list[int]:
    """The processes of this machine with this command line."""
    wanted = ("\0".join(words) + "\0").encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == wanted:
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def below_us() -> tuple[int, ...]:
    """All processes that this test has started."""
    return below(int(Path("/proc/self").readlink().name)).pids


def test_no_command_begins_without_its_daemon(tmp_path: Path) -> None:
    """R09: killed while a command starts, the daemon leaves none: the gate needs its word."""
    launch = prepare(
        Wish("exec-1", "touch ran", 5.0),
        ToolSettings(exec=True),
        tmp_path,
        tmp_path / "home",
        (),
    )
    for said in (b"", b"g"):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            started = subprocess.Popen(
                launch.line, stdin=theirs.fileno(), env=launch.environment, cwd=launch.folder
            )
            theirs.close()
            assert ours.recv(1) == b"."
            ours.sendall(said)
            ours.close()
            assert started.wait(10) == 126
    assert not (tmp_path / "ran").exists()
