"""``clawd schedules``: what a human reads of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Home


def test_made_looked_at_changed_and_deleted(home: Home) -> None:
    """Every command of the group, in words."""
    home.json("start")
    assert home.run("schedules", "list").stderr.strip() == "no schedules"
    line = ("--cron", "30 8 * * 1-5", "--zone", "Europe/Berlin")
    made = home.json("schedules", "create", "coder", "Good morning", *line)
    name = str(made["id"])
    assert (made["schema"], made["state"], made["session"]) == (
        "clawd.schedule/1", "active", "coder",
    )  # fmt: skip
    listed = home.run("schedules", "list", "-s", "coder").stdout
    assert "30 8 * * 1-5 Europe/Berlin" in listed
    shown = home.run("schedules", "show", name).stdout
    assert "At 08:30 on Monday through Friday" in shown
    assert shown.splitlines()[-1] == "Good morning"
    changed = home.run("schedules", "update", name, "--every", "2 hours", "--text", "Hello")
    assert changed.stdout.startswith(f"{name} every 2 hours; next ")
    assert "is paused" in home.run("schedules", "pause", name).stdout
    assert "goes on; next" in home.run("schedules", "resume", name).stdout
    ran = home.json("schedules", "run", name)
    assert ran["turn"].startswith("turn-")
    assert home.run("schedules", "delete", name).stdout.strip() == f"{name} is gone"
    assert home.json("schedules", "list")["items"] == []


def test_what_is_wrong_is_said_with_the_mend(home: Home) -> None:
    """Unknown ids name the nearest; a bad line says what a good one is."""
    home.json("start")
    never = home.run("schedules", "create", "coder", "x", "--cron", "0 0 31 2 *")
    assert (never.returncode, "never comes" in never.stderr) == (2, True)
    nobody = home.run("schedules", "create", "codr", "x", "--every", "1 hour")
    assert (nobody.returncode, "did you mean coder?" in nobody.stderr) == (5, True)
    name = str(home.json("schedules", "create", "coder", "x", "--every", "1 hour")["id"])
    unknown = home.run("schedules", "show", name[:-2])
    assert (unknown.returncode, name in unknown.stderr) == (5, True)
    assert home.run("schedules", "update", name).returncode == 2
    assert home.run("schedules", "show", name, "-s", "default").returncode == 5
