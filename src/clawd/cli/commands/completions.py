"""``clawd completions``: Tab in the shell."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.errors import Invalid

SHELLS = ("bash", "zsh", "fish", "powershell")


@command("completions", 'eval "$(clawd completions bash)"', "clawd completions fish --install")
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--install", is_flag=True, help="Write it where the shell looks for it.")
@pass_invocation
def completions(invocation: Invocation, shell: str, install: bool) -> None:
    """Print or install the completion script of a shell."""
    from clawd.cli.root import root

    kind = get_completion_class(shell)
    if kind is None:
        raise Invalid("no_completion", f"this version of click knows no completion for {shell}")
    script = kind(root, {}, "clawd", "_CLAWD_COMPLETE").source()
    if not install and invocation.as_json:
        invocation.out.document({"schema": "clawd.completions/1", "shell": shell, "script": script})
        return
    if not install:
        invocation.out.raw(script)
        return
    path, more = place(shell, Path.home())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script, encoding="utf-8")
    invocation.report(
        {"schema": "clawd.completions/1", "shell": shell, "path": str(path)}, f"wrote {path}{more}"
    )


def place(shell: str, home: Path) -> tuple[Path, str]:
    """Where a shell looks for completions by itself, and what is still to be done if anything."""
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    match shell:
        case "bash":
            return data / "bash-completion" / "completions" / "clawd", ""
        case "fish":
            return config / "fish" / "completions" / "clawd.fish", ""
        case "zsh":
            folder = home / ".zfunc"
            return folder / "_clawd", f"; ~/.zshrc needs: fpath+=({folder}) before compinit"
        case _:
            path = config / "powershell" / "clawd.ps1"
            return path, f"; your $PROFILE needs: . {path}"
