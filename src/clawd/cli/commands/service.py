"""``clawd daemon install|uninstall``: a systemd unit of the user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.environment import child_environment
from clawd.errors import Refused

UNIT = "clawd.service"
_USER = ("systemctl", "--user")

_TEXT = """\
[Unit]
Description=clawd: a daemon of agent sessions
Documentation=man:systemd.service(5)
After=network-online.target

[Service]
Type=notify
ExecStart={command} daemon run --home {home}
Restart=on-failure
RestartSec=2
TimeoutStopSec=30
WatchdogSec=60
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
PrivateTmp=yes
{environment}
[Install]
WantedBy=default.target
"""


def unit(home: Path, executable: list[str], path: str) -> str:
    """The text of the unit for a home and the command that runs clawd."""
    return _TEXT.format(
        command=" ".join(_word(word) for word in executable),
        home=_word(str(home)),
        environment=f"Environment={_word('PATH=' + path)}\n",
    )


def _word(text: str) -> str:
    """A word of a unit's command line: specifiers and blanks are escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(character in escaped for character in " \t\"'\\") else escaped


def unit_path() -> Path:
    """Where systemd looks for units of the user."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "systemd" / "user" / UNIT


_BUS = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "XDG_CONFIG_HOME")
"""What systemctl finds the user's service manager by."""
_dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done, do nothing.")


def _systemctl(invocation: Invocation, lines: list[list[str]], dry_run: bool) -> None:
    for line in lines:
        invocation.out.note(("  " if dry_run else "+ ") + " ".join(line))
        if not dry_run:
            ended = subprocess.run(
                line,
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
                env=child_environment(os.environ, *_BUS),
            )
            if ended.returncode:
                raise Refused(
                    "systemctl_failed",
                    f"{' '.join(line)} ended with {ended.returncode}: {ended.stderr.strip()}",
                    hint="clawd start runs it without systemd",
                )


def _needs_systemd(dry_run: bool) -> None:
    if not dry_run and shutil.which("systemctl") is None:
        raise Refused("no_systemd", "there is no systemctl here", hint="clawd start works anywhere")


@command("install", "clawd daemon install --dry-run", "clawd daemon install --home ~/agents")
@_dry_run
@pass_invocation
def install(invocation: Invocation, dry_run: bool) -> None:
    """Install a systemd user unit for this home, enable and start it."""
    found = shutil.which("clawd")
    executable = [found] if found else [sys.executable, "-m", "clawd"]
    text = unit(invocation.home, executable, os.environ.get("PATH", os.defpath))
    path = unit_path()
    _needs_systemd(dry_run)
    if not dry_run:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    document = {"schema": "clawd.service/1", "path": str(path), "unit": text, "dryRun": dry_run}
    invocation.report(document, f"{path}:\n{text}" if dry_run else f"wrote {path}")
    _systemctl(
        invocation,
        [
            ["systemctl", "--user", "daemon-reload"],
            ["systemctl", "--user", "enable", "--now", UNIT],
        ],
        dry_run,
    )
    invocation.out.note("to keep it running when you are logged out: loginctl enable-linger")


@command("uninstall", "clawd daemon uninstall", "clawd daemon uninstall --dry-run")
@_dry_run
@pass_invocation
def uninstall(invocation: Invocation, dry_run: bool) -> None:
    """Stop, disable and remove the systemd user unit; the home stays."""
    path = unit_path()
    _needs_systemd(dry_run)
    if not path.exists() and not dry_run:
        raise Refused("not_installed", f"there is no {path}", hint="clawd stop ends a daemon")
    _systemctl(invocation, [[*_USER, "disable", "--now", UNIT]], dry_run)
    if not dry_run:
        path.unlink()
    document = {"schema": "clawd.service/1", "path": str(path), "dryRun": dry_run}
    invocation.report(document, f"{'would remove' if dry_run else 'removed'} {path}")
