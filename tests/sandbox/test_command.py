"""Commands that really run in the sandbox: what they see, and what they cannot do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from clawd.errors import Refused
from clawd.sandbox import probe
from clawd.sandbox.command import environment, limited, sandboxed
from clawd.sandbox.limits import Limits
from clawd.sandbox.probe import bubblewrap, try_it
from clawd.sandbox.system import look
from clawd.sandbox.view import View

needs_bubblewrap = pytest.mark.skipif(
    bubblewrap().ability is None, reason=f"bubblewrap: {bubblewrap().problem}"
)


def run(view: View, script: str, limits: Limits | None = None) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in the sandbox."""
    return subprocess.run(
        sandboxed(["/bin/sh", "-c", script], view, limits),
        env=environment(os.environ, view.workspace),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace below a clawd home with a canary in it."""
    workspace = tmp_path / "home" / "workspaces" / "ada"
    workspace.mkdir(parents=True)
    (tmp_path / "home" / "config.json").write_text("canary-of-the-home")
    return workspace


@needs_bubblewrap
def test_the_workspace_is_writable_at_its_own_path(place: Path) -> None:
    """A command starts there, and what it writes is there afterwards."""
    done = run(View(place), "pwd; echo kept > made.txt")
    assert done.stdout == f"{place}\n"
    assert (place / "made.txt").read_text() == "kept\n"


@needs_bubblewrap
def test_nothing_else_can_be_written(place: Path) -> None:
    """The system is read-only, and so is the sandbox's own root."""
    script = "for at in /usr /etc /bin /dev /; do touch $at/made && echo $at; done; touch ../made"
    assert run(View(place), script).stdout == ""
    assert not (place.parent / "made").exists()


@needs_bubblewrap
def test_the_home_is_not_there(place: Path) -> None:
    """Neither clawd's home, nor the user's, nor what other users of the machine may not read."""
    home = place.parents[1]
    script = (
        f"cat {home}/config.json; ls -A {home} {home}/workspaces; ls /root /home; cat /etc/shadow"
    )
    done = run(View(place, hidden=(home,)), script)
    assert "canary" not in done.stdout + done.stderr
    assert done.stdout == f"{home}:\nworkspaces\n\n{home}/workspaces:\nada\n"


@needs_bubblewrap
def test_the_home_is_hidden_in_a_workspace_around_it(place: Path) -> None:
    """A session that works in a folder that the home lies in sees an empty one in its place."""
    home = place.parents[1]
    done = run(View(home.parent, hidden=(home,)), f"ls -A {home}; cat {home}/config.json")
    assert done.stdout == ""
    assert "canary" not in done.stderr


@needs_bubblewrap
def test_the_kernel_cannot_be_set(place: Path) -> None:
    """Also not by a command whose user is the machine's root, without any power left."""
    script = (
        "cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern && echo written;"
        "for at in /proc/sys/kernel/pid_max /proc/sysrq-trigger; do"
        " [ -w $at ] && echo $at; done; grep CapEff /proc/self/status; unshare -U true && echo made"
    )
    assert run(View(place), script).stdout == "CapEff:\t0000000000000000\n"


@needs_bubblewrap
def test_no_network_and_no_other_processes(place: Path) -> None:
    """There is the loopback of its own namespace, and nobody but its own processes."""
    done = run(View(place), "tail -n +3 /proc/net/dev | cut -d: -f1; ls -d /proc/[0-9]* | wc -l")
    names, count = done.stdout.split()
    assert names == "lo"
    assert int(count) < 8


@needs_bubblewrap
def test_limits_hold(place: Path) -> None:
    """Too much memory and too large a file are refused by the kernel; there is no core."""
    limits = Limits(memory_mib=64, file_mib=1, open_files=100)
    done = run(View(place), "head -c 100000000 /dev/zero | tail -c 90000000 | wc -c", limits)
    assert done.stdout != "90000000\n"
    done = run(View(place), "head -c 2000000 /dev/zero > big; ulimit -c; ulimit -n", limits)
    assert (place / "big").stat().st_size == 1024 * 1024
    assert done.stdout.split()[-2:] == ["0", "100"]


@needs_bubblewrap
def test_scratch_is_private_and_bounded(place: Path) -> None:
    """The command's /tmp is its own, and cannot fill the machine's memory."""
    view = View(place, scratch_mib=4)
    script = "head -c 9000000 /dev/zero > /tmp/big; wc -c < /tmp/big; touch /var/tmp/x /dev/shm/y"
    done = run(view, script)
    assert int(done.stdout) <= 4 * 1024 * 1024
    assert not Path("/tmp/big").exists()


def test_limits_without_a_sandbox(tmp_path: Path) -> None:
    """The same words set them for a command that is not confined."""
    done = subprocess.run(
        limited(["/bin/sh", "-c", "ulimit -c; ulimit -n; nice"], Limits(open_files=99, nice=7)),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.split() == ["0", "99", "7"]


def test_nothing_secret_is_in_the_environment() -> None:
    """R12: a canary key stays behind; the folders of the user do too."""
    daemons = {
        "OPENAI_API_KEY": "canary",
        "HOME": "/home/ada",
        "PATH": "/home/ada/bin:/usr/bin",
        "LANG": "C.UTF-8",
        "TMPDIR": "/home/ada/tmp",
    }
    made = environment(daemons, Path("/w"), {"MORE": "1"})
    assert made == {
        "HOME": "/w",
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "MORE": "1",
    }


def test_without_bubblewrap_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The refusal names the package, and the key that does without."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(probe, "_found", None)
    with pytest.raises(Refused) as caught:
        sandboxed(["true"], View(tmp_path))
    assert caught.value.code == "no_sandbox"
    assert "apt install bubblewrap" in caught.value.hint
    assert "execSandbox" in caught.value.hint


def test_a_bubblewrap_that_fails_is_found_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that may not make namespaces is run, and what it said is passed on."""
    stand_in = tmp_path / "bwrap"
    stand_in.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2; exit 1\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = try_it()
    assert found.ability is None
    assert "uid map: Permission denied" in found.problem
    assert "userns" in found.mend


def test_what_others_cannot_read_is_a_secret(tmp_path: Path) -> None:
    """Files and folders below /etc that the mode keeps from others; nothing below a hidden one."""
    etc = tmp_path / "etc"
    (etc / "open").mkdir(parents=True)
    (etc / "open").chmod(0o755)
    (etc / "closed").mkdir(mode=0o700)
    for name, mode in (("open/key", 0o600), ("open/text", 0o644), ("closed/key", 0o600)):
        (etc / name).write_text("x")
        (etc / name).chmod(mode)
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    found = look(tmp_path)
    assert found.secrets == (etc / "closed", etc / "open/key")
    assert found.links == (("usr/bin", tmp_path / "bin"),)
    assert set(found.folders) == {tmp_path / "usr", etc}


@needs_bubblewrap
def test_the_machine_has_the_shell_that_limits_need() -> None:
    """Limits are set by ``/bin/sh`` and ``nice``, which every system has."""
    assert shutil.which("sh")
    assert shutil.which("nice")
