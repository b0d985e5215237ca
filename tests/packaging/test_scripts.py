from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with what scripts/run needs, and nothing set up."""
    target = tmp_path / "a clone"
    shutil.copytree(ROOT / "scripts", target / "scripts")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, target / name)
    (target / "config.example.json").write_text('{"sessions": {}}')
    return target


def run(clone: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/run of a clone with this Python on an otherwise usual machine."""
    return subprocess.run(
        [clone / "scripts" / "run", *arguments],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(clone),
            "PYTHON": sys.executable,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def pretend_it_is_set_up(clone: Path) -> None:
    """An environment whose clawd prints its arguments, stamped as fitting."""
    binaries = clone / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    (binaries / "clawd").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (binaries / "clawd").chmod(0o755)
    subprocess.run(
        [
            "bash",
            "-c",
            '. scripts/venv.sh; wanted requirements.lock >"$VENV/.stamp-requirements.lock"',
        ],
        cwd=clone,
        check=True,
        timeout=20,
    )


def test_arguments_reach_clawd_unchanged(clone: Path) -> None:
    """With arguments, scripts/run is clawd: no home of its own, blanks kept."""
    pretend_it_is_set_up(clone)
    done = run(clone, "send", "coder", "two words", "")
    assert done.stdout == "send\ncoder\ntwo words\n\n"
    assert done.returncode == 0
    assert not (clone / "config.json").exists()


def test_without_arguments_the_clone_is_the_home(clone: Path) -> None:
    """The example becomes a private config.json once; an edit is never overwritten."""
    pretend_it_is_set_up(clone)
    assert run(clone).stdout == f"--home\n{clone}\n"
    made = clone / "config.json"
    assert made.read_text() == (clone / "config.example.json").read_text()
    assert made.stat().st_mode & 0o777 == 0o600
    made.write_text("{}")
    assert run(clone).stdout == f"--home\n{clone}\n"
    assert made.read_text() == "{}"


def test_a_home_of_ones_own_wins(clone: Path, tmp_path: Path) -> None:
    """With CLAWD_HOME set the clone is not used as home."""
    pretend_it_is_set_up(clone)
    assert run(clone, CLAWD_HOME=str(tmp_path)).stdout == "\n"
    assert not (clone / "config.json").exists()


def test_a_changed_lock_is_noticed(clone: Path) -> None:
    """Another lock means another environment, which is set up before clawd runs."""
    pretend_it_is_set_up(clone)
    with (clone / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    (clone / "no-pip").mkdir()
    (clone / "no-pip" / "ensurepip.py").write_text("raise ImportError")
    (clone / "no-pip" / "pip.py").write_text("raise ImportError")
    (clone / "no-pip" / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    (clone / "no-pip" / "apt-get").chmod(0o755)
    done = run(
        clone,
        PYTHONPATH=str(clone / "no-pip"),
        PATH=f"{clone / 'no-pip'}{os.pathsep}{os.environ['PATH']}",
    )
    assert done.returncode == 1
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"apt-get install python{version}-venv" in done.stderr
    assert done.stdout == ""


def test_without_python_it_says_what_to_install(clone: Path, tmp_path: Path) -> None:
    """A machine without a fitting Python learns what is missing, and nothing is left behind."""
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("bash", "cat", "cksum", "dirname", "id"):
        found = shutil.which(name)
        assert found
        (bare / name).symlink_to(found)
    done = run(clone, PATH=str(bare), PYTHON="")
    assert done.returncode == 1
    assert "Python 3.11" in done.stderr
    assert not (clone / ".venv").exists()
