"""Whether the parts of a configuration fit together: templates, models, ids, costs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path as FilePath

from clawd.config.access import check_access
from clawd.config.problem import Path
from clawd.config.provider import OFFLINE, OFFLINE_ENDPOINT, is_loopback
from clawd.config.schedules import too_often
from clawd.config.schema import Config, ProviderTemplate, SessionSettings, limits_for
from clawd.config.structure import Finding
from clawd.config.workspaces import check_workspace, workspaces_apart
from clawd.errors import Invalid
from clawd.ids import check_session_id
from clawd.nearest import nearest


def check_references(
    config: Config, written: Collection[str], home: FilePath | None
) -> Iterator[Finding]:
    """All that is wrong between the parts; ``written`` are the template ids in the file.

    A template may be written and not be in ``config``, when its own form is wrong: then nothing
    is said about who refers to it.
    """
    for template in config.provider_templates.values():
        yield from _template(config, template, written)
    yield from _circles(config)
    yield from _ids(config)
    unusable = {name for name in config.sessions if _refused_id(name)}
    for session in config.sessions.values():
        yield from check_session(config, session, written)
        yield from check_access(config, session)
        least = limits_for(config, session).min_schedule_seconds
        for place, message, hint in too_often(session.schedules, least):
            yield Finding(("sessions", session.id, "schedules", *place), message, hint)
        if session.aca.enabled and not session.tools.schedule:
            yield Finding(
                ("sessions", session.id, "aca", "enabled"),
                "curiosity finds objectives that this session cannot schedule: "
                "its tools.schedule is off",
                "Turn it on, or leave it: objectives are then worked on when somebody asks",
                "warning",
            )
        if session.id not in unusable:
            wrong = list(check_workspace(session.workspace, session.id, home))
            yield from wrong
            unusable |= {session.id} if wrong else set()
    usable = [each for each in config.sessions.values() if each.id not in unusable]
    yield from workspaces_apart(usable, home)
    talking = [each for each in config.sessions.values() if each.enabled and each.a2a.enabled]
    if len(talking) == 1:
        yield Finding(
            ("sessions",),
            f"only one session has A2A enabled ({talking[0].id}), so it has nobody to talk to",
            "Add another, or set a2a.enabled to false",
            "warning",
        )
    if not config.sessions:
        yield Finding(
            ("sessions",),
            "there is no session",
            'Add one, such as "sessions": {"default": {}}',
            "warning",
            missing=True,
        )


def check_session(
    config: Config, session: SessionSettings, written: Collection[str] = ()
) -> Iterator[Finding]:
    """What is wrong with a session's references: for one of the file, or one made at run time."""
    at: Path = ("sessions", session.id, "provider")
    choice = session.provider
    known = {*config.provider_templates, *written}
    for key, name in (("template", choice.template), ("fallback", choice.fallback)):
        if name is not None and name not in known:
            yield Finding((*at, key), *_no_template(name, known))
    if choice.endpoint is not None:
        yield from _plain_http((*at, "endpoint"), choice.endpoint)
    name = choice.template or config.default_template
    if choice.endpoint is None and name not in config.provider_templates:
        return
    template = config.template_of(session)
    model = config.model_of(session)
    if choice.model is not None and model not in template.available_models:
        offered = ", ".join(template.available_models)
        yield Finding(
            (*at, "model"), f"'{model}' is not offered by template '{template.id}' ({offered})"
        )
    if choice.fallback is not None and choice.fallback == template.id:
        yield Finding((*at, "fallback"), f"'{choice.fallback}' is the session's own template")
    yield from _unpriced(config, session)


def _template(
    config: Config, template: ProviderTemplate, written: Collection[str]
) -> Iterator[Finding]:
    at: Path = ("providerTemplates", template.id)
    if template.id == OFFLINE and (template.endpoint != OFFLINE_ENDPOINT or template.api_key):
        yield Finding(
            at,
            "'offline' is the built-in template and cannot be another one",
            "Choose another id",
        )
        return
    if template.default_model not in template.available_models:
        offered = ", ".join(template.available_models)
        yield Finding(
            (*at, "defaultModel"),
            f"'{template.default_model}' is not in availableModels ({offered})",
        )
    for model in template.prices:
        if model not in template.available_models:
            close = nearest(model, template.available_models, cutoff=0.7)
            yield Finding(
                (*at, "prices", model),
                f"'{model}' is not in availableModels",
                f"Did you mean {close}?" if close else "",
                "warning",
            )
    known = {*config.provider_templates, *written}
    if template.fallback is not None and template.fallback not in known:
        yield Finding((*at, "fallback"), *_no_template(template.fallback, known))
    yield from _plain_http((*at, "endpoint"), template.endpoint)


def _no_template(name: str, known: Collection[str]) -> tuple[str, str]:
    close = nearest(name, known, cutoff=0.7)
    hint = f"Did you mean '{close}'?" if close else f"There are: {', '.join(sorted(known))}"
    return f"there is no template {name!a}", hint


def _plain_http(path: Path, endpoint: str) -> Iterator[Finding]:
    if endpoint.startswith("http://") and not is_loopback(endpoint):
        yield Finding(
            path,
            "sends prompts and the key over the network in clear text",
            "Use https://host/v1",
            "warning",
        )


def _circles(config: Config) -> Iterator[Finding]:
    seen: set[str] = set()
    for start in config.provider_templates:
        chain: list[str] = []
        name: str | None = start
        while name is not None and name not in seen and name not in chain:
            chain.append(name)
            template = config.provider_templates.get(name)
            name = template.fallback if template else None
        seen.update(chain)
        if name in chain:
            circle = [*chain[chain.index(name) :], name]
            yield Finding(
                ("providerTemplates", circle[-2], "fallback"),
                f"the fallbacks go round in a circle: {' → '.join(circle)}",
                "Remove one of them",
            )


def _unpriced(config: Config, session: SessionSettings) -> Iterator[Finding]:
    limits = limits_for(config, session)
    keys = {"max_cost_per_trace": "maxCostPerTrace", "max_cost_per_day": "maxCostPerDay"}
    limited = [name for name in keys if getattr(limits, name) is not None]
    if not session.enabled or not limited:
        return
    own = limited[0] in session.limits.model_fields_set
    at: Path = ("sessions", session.id, "limits") if own else ("limits",)
    template = config.template_of(session)
    model: str = config.model_of(session)
    visited: set[str] = set()
    following: str | None = config.fallback_of(session)
    while True:
        visited.add(template.id)
        if not template.is_offline and model not in template.prices:
            place = f"providerTemplates.{template.id}.prices"
            yield Finding(
                (*at, keys[limited[0]]),
                f"session '{session.id}' may use '{model}' of '{template.id}', "
                "whose price is not known, so its cost cannot be limited",
                "Move the endpoint into a template with prices"
                if template.id.startswith("inline:")
                else f"Add {place}",
            )
            return
        if following is None or following in visited:
            return
        found = config.provider_templates.get(following)
        if found is None:
            return
        template, model, following = found, found.default_model, found.fallback


def _refused_id(name: str) -> Invalid | None:
    try:
        check_session_id(name)
    except Invalid as error:
        return error
    return None


def _ids(config: Config) -> Iterator[Finding]:
    by_letters: dict[str, str] = {}
    for name in config.sessions:
        error = _refused_id(name)
        if error is not None:
            hint = error.hint[:1].upper() + error.hint[1:]
            yield Finding(("sessions", name), error.message, hint)
            continue
        other = by_letters.setdefault(name.lower(), name)
        if other != name:
            yield Finding(
                ("sessions", name),
                f"session ids '{other}' and '{name}' differ only in case",
                "Rename one of them",
            )
