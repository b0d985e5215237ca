"""Which model serves a session: its template, with the key resolved at the last moment."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from clawd.config.bindings import KeyBindings
from clawd.config.keys import origin, place_of_key, resolve_key
from clawd.config.schema import Config, ProviderTemplate, SessionSettings
from clawd.errors import ClawdError, Invalid, ProviderError
from clawd.events import Event, Notice
from clawd.ledger.account import Account
from clawd.ledger.embedding import MeteredEmbedder, Vectors
from clawd.ledger.ledger import Ledger
from clawd.ledger.metered import Metered
from clawd.llm.failover import Failover
from clawd.llm.port import ChatModel, Embedder
from clawd.messages import JSON, Usage
from clawd.secrets import Redactor, Secret
from clawd.sessions.services import Chosen

MAX_FALLBACKS = 4
"""How many templates are asked after the first, at most."""


class Pool(Protocol):
    """Makes models by endpoint and key (``clawd.llm.pool.ModelPool``)."""

    def model(self, endpoint: str, api_key: Secret | None = None, **options: Any) -> ChatModel:
        """The model behind an endpoint."""
        ...

    def embeddings(self, endpoint: str, api_key: Secret | None = None, **options: Any) -> Vectors:
        """What makes vectors behind an endpoint."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class ConfiguredModels:
    """Finds models by the configuration in force."""

    def __init__(
        self,
        config: Callable[[], Config],
        bindings: KeyBindings,
        home: Path,
        emit: Callable[[Event], object],
        redactor: Redactor,
        ledger: Ledger,
    ) -> None:
        self._config = config
        self._bindings = bindings
        self._home = home
        self._emit = emit
        self._redactor = redactor
        self._ledger = ledger
        self._pool: Pool | None = None
        self._making = asyncio.Lock()

    async def warm(self) -> Pool:
        """The pool; made on first use."""
        async with self._making:
            pool = self._pool
            if pool is None:
                # The model client takes half a second to import: never on the loop, and not
                # before the daemon answers.
                module = await asyncio.to_thread(importlib.import_module, "clawd.llm.pool")
                made: Pool = await asyncio.to_thread(module.ModelPool, redactor=self._redactor)
                pool = self._pool = made
        return pool

    async def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            await self._pool.close()

    async def choose(self, settings: SessionSettings, account: Account) -> Chosen:
        """The model for a session's next turn; ``ProviderError`` when its template is held.

        Each call of it, and of its fallback, is put on the account.
        """
        config = self._config()
        template = config.template_of(settings)
        if settings.provider.endpoint is None and template.id not in config.provider_templates:
            raise ProviderError(
                "template_missing",
                f"session {settings.id} uses template {template.id!r}, which config.json has not",
                hint="put the template back, or give the session another",
            )
        name = settings.provider.model or template.default_model
        model = await self.of(template, account)
        # From the last to the first: what stands behind each is ready when it is made.
        behind: ChatModel | None = None
        chain = self._fallbacks(template, config.fallback_of(settings))
        for at in range(len(chain) - 1, -1, -1):
            own = await self.of(chain[at], account)
            behind = own if behind is None else self._failover(settings, own, behind, chain[at + 1])
        if behind is not None:
            model = self._failover(settings, model, behind, chain[0])
        return Chosen(model, name, template.context_window)

    async def used(self, turn: str) -> Usage:
        """What the model calls of a turn have used, before the last start of the daemon too."""
        return await self._ledger.turn(turn)

    def _fallbacks(self, template: ProviderTemplate, name: str | None) -> list[ProviderTemplate]:
        """The templates that are asked one after another when this one fails; each once."""
        found: list[ProviderTemplate] = []
        templates = self._config().provider_templates
        while name is not None and len(found) < MAX_FALLBACKS:
            following = templates.get(name)
            if following is None or following in (template, *found):
                break
            # One that is held holds nobody else: it is left out.
            if self.key_state(following) in ("ok", "none"):
                found.append(following)
            name = following.fallback
        return found

    def _failover(
        self, settings: SessionSettings, first: ChatModel, second: ChatModel, to: ProviderTemplate
    ) -> ChatModel:
        told = partial(self._fell_back, settings.id, to.id)
        return Failover(first, second, to.default_model, told)

    def _fell_back(self, session: str, fallback: str, error: ClawdError) -> None:
        text = f"{error.message}; template {fallback!r} answers instead"
        self._emit(Notice(session=session, code="fell_back", text=text, level="warning"))

    async def of(self, template: ProviderTemplate, account: Account) -> ChatModel:
        """The model behind a template, whose calls are put on the account."""
        key = self.key(template)
        pool = await self.warm()
        model = pool.model(
            template.endpoint,
            key,
            max_concurrency=template.max_concurrency,
            timeout_seconds=template.timeout_seconds,
            prices=template.prices,
            context_window=template.context_window,
            key_from=f"apiKey of template '{template.id}' ({place_of_key(template.api_key)})",
        )
        free = template.is_offline
        return Metered(model, self._ledger, account, template.id, template.prices, free=free)

    async def embedder(self, settings: SessionSettings, account: Account) -> Embedder | None:
        """What makes vectors for a session; ``None`` when its template names no model for it.

        Each request is put on the account. ``ProviderError`` when the template is held.
        """
        template = self._config().template_of(settings)
        model = template.embedding_model
        if model is None or template.is_offline:
            return None
        key = self.key(template)
        pool = await self.warm()
        vectors = pool.embeddings(
            template.endpoint,
            key,
            key_from=f"apiKey of template '{template.id}' ({place_of_key(template.api_key)})",
        )
        price = template.prices.get(model)
        return MeteredEmbedder(vectors, model, self._ledger, account, template.id, price)

    def key(self, template: ProviderTemplate) -> Secret | None:
        """The template's key; ``ProviderError`` when the template is held.

        It is when the key does not resolve, or when its endpoint was moved to another host.
        """
        bound = self._bindings.held(template)
        if bound:
            raise ProviderError(
                "endpoint_moved",
                f"template {template.id!r} now points to {origin(template.endpoint)}, and its key "
                f"was given for {bound}",
                hint=f"if that is what you want: clawd providers confirm {template.id}",
            )
        try:
            key = resolve_key(template.api_key, os.environ, self._home)
        except Invalid as error:
            raise ProviderError(
                "key_missing",
                f"the key of template {template.id!r} {error.message}",
                hint=error.hint,
            ) from None
        # It may have changed since the configuration was read: a file was rewritten.
        self._redactor.learn([key] if key else [])
        return key

    def check_key(self, template: ProviderTemplate) -> None:
        """As ``key``, for a template that somebody chose: the error names those that would do."""
        try:
            self.key(template)
        except ProviderError as error:
            others = self._config().provider_templates.values()
            usable = [each.id for each in others if self.key_state(each) in ("ok", "none")]
            if usable:
                instead = f"or take a template that has what it needs: {', '.join(usable)}"
                error.hint = f"{error.hint}; {instead}" if error.hint else instead
            raise

    async def confirm(self, template: ProviderTemplate) -> None:
        """Let a template send its key to where it points now."""
        await asyncio.to_thread(self._bindings.confirm, template)

    def key_state(self, template: ProviderTemplate) -> str:
        """What a listing says of the key: ok, none, or what is missing; never the key."""
        if template.api_key is None:
            return "none"
        try:
            self.key(template)
        except ProviderError as error:
            return error.message
        return "ok"


def public_template(template: ProviderTemplate) -> JSON:
    """A template as models and listings see it: without its key."""
    return {
        "id": template.id,
        "name": template.name,
        "description": template.description,
        "endpoint": template.endpoint,
        "defaultModel": template.default_model,
        "models": list(template.available_models),
        "contextWindow": template.context_window,
    }
