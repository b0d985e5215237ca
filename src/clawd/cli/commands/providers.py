"""``clawd providers``: list, test, confirm, detect."""

from __future__ import annotations

import click

from clawd.cli.client import JSON
from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import naming_the_nearest, quoted
from clawd.cli.times import count
from clawd.errors import ProviderError

_AT = "/api/providers"


@command("list", "clawd providers list", "clawd providers list --json")
@pass_invocation
def list_(invocation: Invocation) -> None:
    """The provider templates; keys are never shown."""
    found = invocation.client.get(_AT)
    if invocation.out.as_json:
        invocation.out.document(found)
        return
    invocation.out.table(
        ("id", "endpoint", "key", "window", "default", "models"),
        [
            (
                item["id"],
                item.get("endpoint"),
                item.get("key"),
                count(item.get("contextWindow") or 0),
                item.get("defaultModel"),
                item.get("models"),
            )
            for item in found["items"]
        ],
    )


@command("test", "clawd providers test", "clawd providers test openai")
@click.argument("provider", required=False)
@pass_invocation
def test(invocation: Invocation, provider: str | None) -> None:
    """One real call to a template, or to each; exit 6 when one refuses."""
    if provider is None:
        names = [item["id"] for item in invocation.client.get(_AT)["items"]]
    else:
        names = [provider]
    results: list[JSON] = []
    for name in names:
        with naming_the_nearest(invocation.client, _AT, name):
            found = invocation.client.post(
                f"{_AT}/{quoted(name, 'template')}/test", timeout=invocation.timeout or 60.0
            )
        results.append({**found, "id": name})
    out = invocation.out
    if out.as_json:
        out.document({"schema": "clawd.providerTests/1", "items": results, "next": None})
    for result in () if out.as_json else results:
        said = f"{result['id']}: {result.get('model')} "
        if result["ok"]:
            out.line(said, ("ok", "green"), f" {result['milliseconds']} ms")
        else:
            out.line(said, ("refused: ", "red"), why(result))
    failed = {result["id"]: mend(result) for result in results if not result["ok"]}
    if failed and out.as_json:
        raise SystemExit(ProviderError.exit_code)
    if failed:
        raise ProviderError(
            "provider_refused",
            f"no answer from: {', '.join(failed)}",
            hint="; ".join(f"{name}: {hint}" for name, hint in failed.items()),
        )


@command("confirm", "clawd providers confirm openai", "clawd providers confirm openai --yes")
@click.argument("provider")
@pass_invocation
def confirm(invocation: Invocation, provider: str) -> None:
    """Let a template whose endpoint was moved to another host send its key there."""
    with naming_the_nearest(invocation.client, _AT, provider):
        known = {item["id"]: item for item in invocation.client.get(_AT)["items"]}
        endpoint = known.get(provider, {}).get("endpoint")
        if endpoint is not None:
            invocation.confirm(f"Send the key of {provider} to {endpoint}?")
        found = invocation.client.post(f"{_AT}/{quoted(provider, 'template')}/confirm")
    if invocation.out.as_json:
        invocation.out.document(found)
    else:
        invocation.out.line(f"{provider}: the key goes to {found['endpoint']}")


def why(result: JSON) -> str:
    """Why a provider's test failed, in a sentence."""
    error = result.get("error")
    if isinstance(error, dict):
        return str(error.get("message") or error.get("error"))
    return str(error or "no answer")


def mend(result: JSON) -> str:
    """What to do about a provider's failed test."""
    error = result.get("error")
    hint = error.get("hint") if isinstance(error, dict) else None
    return str(hint or "see its entry in config.json")


@command("detect", "clawd providers detect", "clawd providers detect --json")
@pass_invocation
def detect(invocation: Invocation) -> None:
    """Keys in the environment and model servers on this machine; nothing is sent to anyone else."""
    from clawd.cli.detect import offers

    found = offers()
    out = invocation.out
    if out.as_json:
        items = [offer.as_json() for offer in found]
        out.document({"schema": "clawd.detected/1", "items": items, "next": None})
        return
    out.table(
        ("id", "what", "endpoint", "models"),
        [(offer.id, offer.why, offer.endpoint, offer.models) for offer in found],
    )


_HERE = "clawd.cli.commands.providers:"
providers = group(
    "providers",
    "List, test, confirm and detect model providers.",
    {
        "list": (_HERE + "list_", "The provider templates."),
        "test": (_HERE + "test", "One real call."),
        "confirm": (_HERE + "confirm", "Let a moved endpoint have its key."),
        "detect": (_HERE + "detect", "Keys in the environment and local servers."),
    },
    "clawd providers list",
    "clawd providers test openai",
)
