"""``clawd init``: a home to begin with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from clawd.cli.client import JSON, Client
from clawd.cli.commands.providers import why
from clawd.cli.config_text import with_first_template
from clawd.cli.detect import OFFLINE, Offer, known_ids, offers
from clawd.cli.home import home_folder
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.launch import start, stop
from clawd.cli.nearest import quoted
from clawd.cli.shipped import example_workspaces
from clawd.config.examples import examples_root
from clawd.environment import child_environment
from clawd.errors import ClawdError, Invalid
from clawd.nearest import nearest

SCHEMA_FILE = "config.schema.json"
STOP_SECONDS = 15.0
TEST_SECONDS = 30.0


@command("init", "clawd init", "clawd init ~/agents --provider auto --yes")
@click.argument("folder", required=False, metavar="[DIR]")
@click.option(
    "--provider",
    metavar="auto|offline|ID",
    help="Which model answers: the best that is there, the built-in one, or one by its id.",
)
@pass_invocation
def init(invocation: Invocation, folder: str | None, provider: str | None) -> int:
    """Write a configuration and example workspaces.

    Keys in the environment and model servers on this machine are found; without --provider a
    terminal is asked, and anything else gets the built-in offline model.
    """
    home = Path(folder).expanduser().absolute() if folder else invocation.home
    config = home / "config.json"
    if config.exists():
        return _has_one(invocation, config, provider)
    chosen = choose(invocation, provider)
    written = write_home(home, chosen)
    proof = prove(home, chosen)
    out = invocation.out
    if out.as_json:
        out.document(
            {
                "schema": "clawd.init/1",
                "home": str(home),
                "config": str(config),
                "workspaces": [str(path) for path in written if path.is_dir()],
                "provider": chosen.as_json(),
                "offline": chosen is OFFLINE,
                "proof": proof,
            }
        )
        return 0
    for path in written:
        out.line(("wrote ", "dim"), f"{path}{'/' if path.is_dir() else ''}")
    out.line("model: ", (chosen.name, "bold"), f" ({chosen.why}), {_proved(proof)}")
    at = f" --home {home}" if home != home_folder(None) else ""
    out.line("next:")
    for words, text in (
        ("chat", "talk to the session default"),
        ("demo", "see sessions work together"),
        ("doctor", "check everything"),
    ):
        out.line((f"  clawd {words}{at}".ljust(30), "bold"), ("  " + text, "dim"))
    return 0


def _has_one(invocation: Invocation, config: Path, provider: str | None) -> int:
    """A configuration is the operator's: it is never written over, only said what to add."""
    if provider is None:
        raise Invalid(
            "exists",
            f"there is a configuration already: {config}",
            hint="clawd config validate checks it; clawd init DIR begins elsewhere",
        )
    chosen = choose(invocation, provider)
    import json

    entry = f"{json.dumps(chosen.id)}: {json.dumps(chosen.template(), indent=2)}"
    document = {"schema": "clawd.init/1", "config": str(config), "provider": chosen.as_json()}
    invocation.report(document, entry)
    invocation.out.note(f'put this first under "providerTemplates" in {config}')
    return 0


def choose(invocation: Invocation, provider: str | None) -> Offer:
    """The provider that the operator named, or agreed to, else the built-in one."""
    if provider == "offline":
        return OFFLINE
    found = offers()
    if provider is not None:
        for offer in found:
            if provider in ("auto", offer.id):
                return offer
        there = ", ".join(offer.id for offer in found)
        close = nearest(provider, known_ids())
        meant = f"did you mean {close}? " if close and close != provider else ""
        raise Invalid(
            "unknown_provider",
            f"provider {provider!r} is not there: no key in the environment, no server",
            hint=f"{meant}there are: {there}; others go into config.json",
        )
    best = found[0]
    interactive = sys.stdin.isatty() and sys.stderr.isatty() and not invocation.yes
    if best is not OFFLINE and interactive:
        question = f"Use {best.name} ({best.why})? Otherwise the offline model"
        if click.confirm(question, default=True, err=True):
            return best
    elif best is not OFFLINE:
        invocation.out.note(f"{best.name} is there too ({best.why}): --provider {best.id}")
    return OFFLINE


def write_home(home: Path, chosen: Offer) -> list[Path]:
    """The configuration, its schema and the example workspaces; what was written."""
    examples = examples_root()
    text = (examples / "config.example.json").read_text(encoding="utf-8")
    if chosen is not OFFLINE:
        text = with_first_template(text, chosen.id, chosen.template())
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    schema = home / SCHEMA_FILE
    content = "" if schema.exists() else _schema()
    if content or schema.exists():
        # For editors; a clone that is a home has no such file.
        text = text.replace("{\n", f'{{\n  "$schema": "./{SCHEMA_FILE}",\n\n', 1)
    written = [_write(home / "config.json", text)]
    for session, files in sorted(example_workspaces(examples).items()):
        workspace = home / "workspaces" / session
        if workspace.exists():
            continue
        workspace.mkdir(mode=0o700, parents=True)
        for name, said in files.items():
            _write(workspace / name, said)
        written.append(workspace)
    if content:
        written.append(_write(schema, content))
    return written


def _write(path: Path, text: str) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _schema() -> str:
    # In a process of its own: the schema needs pydantic, and this command does not.
    ended = subprocess.run(
        [sys.executable, "-m", "clawd", "config", "schema"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=child_environment(os.environ),
    )
    return ended.stdout if ended.returncode == 0 else ""


def prove(home: Path, chosen: Offer) -> JSON:
    """One real call through a daemon of this home, which is stopped if it was started for it."""
    client = Client(home, TEST_SECONDS)
    started = False
    try:
        if client.running() is None:
            start(client)
            started = True
        return client.post(f"/api/providers/{quoted(chosen.id)}/test")
    except ClawdError as problem:
        return {"ok": False, "error": problem.as_json()}
    finally:
        if started:
            stop(client, None, STOP_SECONDS)


def _proved(proof: JSON) -> str:
    if proof.get("ok"):
        return f"answered in {proof.get('milliseconds')} ms"
    return f"but it did not answer: {why(proof)}"
