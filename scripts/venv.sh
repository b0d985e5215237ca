# Sourced by the other scripts: CLONE, and ensure_venv, which makes the clone's .venv fit a lock.
# shellcheck shell=bash
#
# The clone is linked into the environment by a .pth file and a launcher, so nothing has to be
# built and every file that is downloaded is in a lock with its hash.

CLONE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$CLONE/.venv

say() { printf '%s\n' "$*" >&2; }

# ensure_venv LOCK: an environment with what LOCK names. Returns at once when nothing changed.
# The stamp is written last: what was interrupted is taken up again by the next call.
ensure_venv() {
    local lock=$CLONE/$1 stamp=$VENV/.stamp-$1 wanted
    wanted=$(wanted "$1")
    _is_stamped "$stamp" "$wanted" && return 0
    # Two first starts at once: the second waits here and finds the work done.
    exec 9<"$lock"
    if command -v flock >/dev/null && flock 9 && _is_stamped "$stamp" "$wanted"; then
        exec 9<&-
        return 0
    fi
    _usable || _make_venv
    say "clawd: installing what $1 names (once, well under a minute)"
    if ! "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
        --no-deps --require-hashes -r "$lock" >&2; then
        say "clawd: the packages could not be installed; see above, then run this again"
        return 1
    fi
    _link_clone
    printf '%s\n' "$wanted" >"$stamp"
    exec 9<&-
}

# wanted LOCK: what the stamp of an environment that fits says. A clone that moved fits no more.
wanted() { printf '1 %s\n' "$CLONE" | cat - "$CLONE/$1" "$CLONE/pyproject.toml" | cksum; }

_is_stamped() { [ -f "$1" ] && [ "$(<"$1")" = "$2" ] && [ -x "$VENV/bin/python" ]; }

# Finished, an interpreter that runs, recent enough, with pip.
_usable() {
    [ ! -e "$VENV/.making" ] && [ -x "$VENV/bin/python" ] &&
        "$VENV/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

_make_venv() {
    local python
    python=$(_find_python) || return 1
    _ensure_venv_module "$python" || return 1
    say "clawd: making .venv with $("$python" --version 2>&1)"
    # What is interrupted here keeps the mark, and is made anew by the next call.
    rm -rf "$VENV"
    mkdir "$VENV"
    touch "$VENV/.making"
    if ! "$python" -m venv "$VENV" >&2; then
        rm -rf "$VENV"
        say "clawd: $python could not make a virtual environment; see above"
        return 1
    fi
    rm "$VENV/.making"
}

# The user's own python3 when it fits, else the newest that the locks were made for.
_find_python() {
    local name
    for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    say "clawd: needs Python 3.11, 3.12, 3.13 or 3.14, and found none on PATH."
    say "       Debian, Ubuntu: apt-get install python3 python3-venv   Fedora: dnf install python3"
    say "       macOS: brew install python   or name one: PYTHON=/path/to/python3 $0"
    return 1
}

# Debian ships the module apart from Python.
_ensure_venv_module() {
    local version package
    _has_venv "$1" && return 0
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    package=python$version-venv
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "clawd: installing $package, which $1 needs to make .venv"
        apt_install "$package" || true
        _has_venv "$1" && return 0
    fi
    say "clawd: $1 cannot make virtual environments: its venv module is missing."
    say "       Debian, Ubuntu: apt-get install $package (as root), then run this again"
    return 1
}

_has_venv() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }

# apt_install PACKAGE...: quietly, and only as root with apt-get.
apt_install() {
    local quiet=(-qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120)
    export DEBIAN_FRONTEND=noninteractive
    apt-get "${quiet[@]}" install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
        { apt-get "${quiet[@]}" update >&2 &&
            apt-get "${quiet[@]}" install -y --no-install-recommends "$@" >/dev/null; }
}

_link_clone() {
    local site
    site=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$CLONE/src" >"$site/clawd.pth"
    # Through sh, because a #! line allows neither blanks nor long paths.
    cat >"$VENV/bin/clawd" <<LAUNCHER
#!/bin/sh
'''exec' "$VENV/bin/python" "\$0" "\$@"
' '''
import sys

from clawd.cli.main import main

sys.exit(main())
LAUNCHER
    chmod +x "$VENV/bin/clawd"
}
