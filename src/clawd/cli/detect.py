"""Which model providers this machine could use: keys in the environment, servers on loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any

LOOK_SECONDS = 0.15
"""How long a server on this machine may take to answer."""

KEYS = (
    ("openai", "OpenAI", "OPENAI_API_KEY", "https://api.openai.com/v1", ("gpt-4o", "gpt-4o-mini")),
    (
        "openrouter",
        "OpenRouter",
        "OPENROUTER_API_KEY",
        "https://openrouter.ai/api/v1",
        ("openai/gpt-4o", "openai/gpt-4o-mini"),
    ),
)
"""Template id, name, variable, endpoint, models to begin with."""

SERVERS = (
    ("ollama", "Ollama", 11434),
    ("lmstudio", "LM Studio", 1234),
    ("llamacpp", "llama.cpp", 8080),
    ("vllm", "vLLM", 8000),
)
"""Template id, name, usual port."""


@dataclass(frozen=True)
class Offer:
    """A provider that is there: what a template in config.json would say."""

    id: str
    name: str
    why: str
    endpoint: str
    models: tuple[str, ...] = field(default=())
    key: str = ""

    def as_json(self) -> dict[str, Any]:
        """The offer as ``--json`` shows it; of a key, only its variable's name."""
        return {
            "id": self.id,
            "name": self.name,
            "why": self.why,
            "endpoint": self.endpoint,
            "models": list(self.models),
        }

    def template(self) -> dict[str, Any]:
        """The entry for ``providerTemplates``."""
        entry: dict[str, Any] = {"name": self.name, "endpoint": self.endpoint}
        if self.key:
            entry["apiKey"] = "${" + self.key + "}"
        return entry | {"availableModels": list(self.models), "defaultModel": self.models[0]}


OFFLINE = Offer("offline", "Offline", "built in", "offline:", ("offline",))


def known_ids() -> list[str]:
    """The id of every provider that could be offered on some machine."""
    return [*(key[0] for key in KEYS), *(server[0] for server in SERVERS), OFFLINE.id]


def offers(
    environ: Mapping[str, str] = os.environ,
    ask: Callable[[int], tuple[str, ...]] | None = None,
) -> list[Offer]:
    """What is there, the best first: keys, then local servers, then the built-in model."""
    found = [
        Offer(id, name, f"{variable} is set", endpoint, models, variable)
        for id, name, variable, endpoint, models in KEYS
        if environ.get(variable)
    ]
    with ThreadPoolExecutor(len(SERVERS)) as pool:
        answers = pool.map(ask or models_at, [port for _, _, port in SERVERS])
    for (id, name, port), models in zip(SERVERS, answers, strict=True):
        if models:
            endpoint = f"http://127.0.0.1:{port}/v1"
            found.append(Offer(id, name, f"answers on port {port}", endpoint, models))
    return [*found, OFFLINE]


def models_at(port: int) -> tuple[str, ...]:
    """The models of a server on this machine; none when nobody answers, or clawd itself does."""
    connection = HTTPConnection("127.0.0.1", port, timeout=LOOK_SECONDS)
    try:
        connection.request("GET", "/v1/models")
        response = connection.getresponse()
        body = json.loads(response.read(1 << 20)) if response.status == 200 else {}
        listed = body.get("data") if isinstance(body, dict) else None
        models = [item for item in listed or () if isinstance(item, dict)]
        if any(item.get("owned_by") == "clawd" for item in models):
            return ()
        return tuple(str(item["id"]) for item in models if item.get("id"))[:50]
    except (OSError, HTTPException, ValueError):
        return ()
    finally:
        connection.close()
