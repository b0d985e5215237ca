"""Whether bubblewrap works here: found out by running it, since no version tells."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from clawd.sandbox.bubblewrap import PROGRAM, Ability, arguments
from clawd.sandbox.system import system
from clawd.sandbox.view import View

_LIMIT_SECONDS = 10.0
_AGAIN_SECONDS = 30.0
_ABILITIES = (Ability(), Ability(seals=False), Ability(sizes=False, seals=False))
_LOOK = "install it (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
_ALLOW = (
    "let this user make user namespaces: kernel.unprivileged_userns_clone=1, and on Ubuntu 24.04 "
    "kernel.apparmor_restrict_unprivileged_userns=0 or a profile for bwrap; in a container, "
    "allow unshare, mount and pivot_root"
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a run told: how bubblewrap can be used, or why it cannot."""

    ability: Ability | None
    program: str = PROGRAM
    """Its path: a command's own ``PATH`` may not lead there."""
    problem: str = ""
    """One sentence; "" when it works."""
    mend: str = ""


_lock = threading.Lock()
_found: tuple[float, Found] | None = None


def bubblewrap() -> Found:
    """Whether it can be used; runs it the first time (some 10 ms, blocking), then remembers.

    A "no" is asked again after half a minute: the mend needs no restart.
    """
    global _found
    with _lock:
        if _found is None or (_found[1].problem and time.monotonic() - _found[0] > _AGAIN_SECONDS):
            _found = (time.monotonic(), try_it())
        return _found[1]


def try_it() -> Found:
    """Run it once with everything that it is used for; blocking."""
    program = shutil.which(PROGRAM)
    if program is None:
        return _no("bubblewrap is not installed (there is no bwrap on PATH)", _LOOK)
    said = ""
    with tempfile.TemporaryDirectory(prefix="clawd-probe-") as folder:
        view = View(Path(folder).resolve())
        for ability in _ABILITIES:
            line = [program, *arguments(view, system(), ["true"], ability=ability)[1:]]
            try:
                done = subprocess.run(
                    line,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    timeout=_LIMIT_SECONDS,
                    check=False,
                    env={"PATH": os.environ.get("PATH", os.defpath)},
                )
            except (OSError, subprocess.TimeoutExpired) as failure:
                said = str(failure)
                continue
            if done.returncode == 0:
                return Found(ability, program)
            said = said or done.stderr.decode(errors="replace").strip()[:300]
    return _no(f"bubblewrap cannot make a sandbox here: {said}", _ALLOW)


def _no(problem: str, mend: str) -> Found:
    return Found(None, problem=problem, mend=mend)
