"""Reading ``config.json``: a frozen `Config`, or every problem with its place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawd.config.encryption import check_encryption
from clawd.config.inactive import inactive_keys
from clawd.config.json_text import Document, read_json
from clawd.config.keys import is_literal, key_file, readable_by_others, resolve_key
from clawd.config.mcp_values import check_mcp_values
from clawd.config.problem import Problem, dotted
from clawd.config.references import check_references
from clawd.config.schema import Config, SessionSettings
from clawd.config.structure import Finding, read_config
from clawd.errors import ConfigError, Invalid
from clawd.ids import check_session_id
from clawd.secrets import Secret

__all__ = ["Checked", "Problem", "check", "load", "parse_session", "resolve_key"]

CONFIG_FILE = "config.json"
MAX_BYTES = 8 * 1024 * 1024
"""A configuration beyond this size is refused unread."""


@dataclass(frozen=True)
class Checked:
    """What a file turned out to be; ``config`` is None when any problem is an error.

    ``inactive`` are the keys that were accepted and do nothing, as shown paths; ``text`` is what
    was checked, ``content`` the value that it describes.
    """

    config: Config | None
    problems: list[Problem] = field(default_factory=list)
    inactive: list[str] = field(default_factory=list)
    text: str = field(default="", repr=False)
    content: Any = field(default=None, repr=False)

    @property
    def errors(self) -> list[Problem]:
        """The problems that keep the configuration from being used."""
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that do not."""
        return [problem for problem in self.problems if problem.severity == "warning"]

    def require(self) -> Config:
        """The configuration; ``ConfigError`` with every error when there is none."""
        if self.config is None:
            raise _refusal(self.errors)
        return self.config


def load(path: Path, environ: Mapping[str, str]) -> Checked:
    """Read and check the ``config.json`` of a home. Blocks on the disk; never raises.

    A path that ends in ``.json`` and is no folder is the file itself, in a home that holds it.
    """
    is_file = path.suffix == ".json" and not os.path.isdir(path)
    file = (path if is_file else path / CONFIG_FILE).absolute()
    home, name = file.parent, file.name
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return _unreadable(name, f"{file} is not a regular file", "Move it away")
            if found.st_size > MAX_BYTES:
                return _unreadable(name, f"{file} is larger than {MAX_BYTES} bytes", "Shorten it")
            content = stream.read()
    except FileNotFoundError:
        return _unreadable(name, f"{file} was not found", "Run: clawd init")
    except OSError as error:
        reason = error.strerror or "unknown reason"
        return _unreadable(name, f"{file} cannot be read ({reason})", "Check its owner and mode")
    return check(content, name=name, environ=environ, home=home, file=file)


def check(
    text: str | bytes,
    *,
    name: str = CONFIG_FILE,
    environ: Mapping[str, str],
    home: Path | None,
    file: Path | None = None,
) -> Checked:
    """Check the content of a configuration and find every problem at once.

    With a ``home``, workspaces and key files are looked at as well; ``file`` is where the content
    came from, to see who else may read the keys in it.
    """
    if isinstance(text, bytes):
        decoded = _decode(text, name)
        if isinstance(decoded, Problem):
            return Checked(None, [decoded])
        text = decoded
    text = text.removeprefix("\ufeff")
    if not text.strip():
        problem = Problem(
            "", 0, 0, f"the file is empty ({len(text)} characters)", "Run: clawd init", file=name
        )
        return Checked(None, [problem])
    document = read_json(text)
    problems = [
        Problem(
            dotted(mistake.path),
            *document.line_and_column(mistake.offset),
            mistake.message,
            mistake.hint,
            file=name,
        )
        for mistake in document.mistakes
    ]
    if document.broken:
        return Checked(None, problems)
    config, findings = read_config(document.value)
    if config is not None and isinstance(document.value, dict):
        known = {finding.path for finding in findings}
        fitting = [*check_references(config, _template_ids(document.value), home)]
        fitting += _check_keys(config, environ, home, file)
        fitting += check_mcp_values(config, environ, home, file)
        fitting += check_encryption(config, environ, home, file)
        findings += [finding for finding in fitting if finding.path not in known]
    mistaken = {problem.path for problem in problems}
    problems += [
        problem for problem in _placed(findings, document, name) if problem.path not in mistaken
    ]
    problems.sort(key=lambda problem: (problem.line, problem.column))
    if any(problem.severity == "error" for problem in problems):
        config = None
    return Checked(config, problems, inactive_keys(document.value), text, document.value)


def parse_session(session_id: str, entry: dict[str, Any]) -> SessionSettings:
    """The settings of one session from an entry as under `sessions`; ``ConfigError`` if invalid.

    References to templates are not checked: see `clawd.config.references.check_session`.
    """
    try:
        check_session_id(session_id)
    except Invalid as error:
        raise ConfigError(error.code, error.message, hint=error.hint) from None
    config, findings = read_config({"sessions": {session_id: entry}})
    if findings or config is None:
        raise _refusal([*_placed(findings, None, "")])
    return config.sessions[session_id]


def _refusal(errors: list[Problem]) -> ConfigError:
    return ConfigError(
        "invalid_config",
        "\n".join(str(problem) for problem in errors),
        hint="clawd config validate",
    )


def _unreadable(name: str, message: str, hint: str) -> Checked:
    return Checked(None, [Problem("", 0, 0, message, hint, file=name)])


def _decode(content: bytes, name: str) -> str | Problem:
    for mark, encoding in ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if content.startswith(mark):
            return Problem(
                "",
                1,
                1,
                f"the file is not UTF-8 (byte 0x{content[0]:02x} at offset 0; it looks like "
                f"{encoding})",
                "Save it as UTF-8",
                file=name,
            )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
        return Problem(
            "",
            line,
            column,
            f"the file is not UTF-8 (byte 0x{content[error.start]:02x} at offset {error.start})",
            "Save it as UTF-8",
            file=name,
        )


def _placed(findings: Iterable[Finding], document: Document | None, name: str) -> Iterator[Problem]:
    for finding in findings:
        at = finding.path[:-1] if finding.missing else finding.path
        line, column = document.place(at) if document else (0, 0)
        yield Problem(
            dotted(finding.path),
            line,
            column,
            finding.message,
            finding.hint,
            finding.severity,
            name,
        )


def _template_ids(data: Any) -> list[str]:
    templates = data.get("providerTemplates") if isinstance(data, dict) else None
    return list(templates) if isinstance(templates, dict) else []


def _check_keys(
    config: Config, environ: Mapping[str, str], home: Path | None, file: Path | None
) -> Iterator[Finding]:
    """Warnings about keys: one that cannot be used holds its template, and nothing else."""
    references: list[tuple[tuple[str, ...], str, Secret | None]] = [
        (("providerTemplates", template.id), f"template '{template.id}' is", template.api_key)
        for template in config.provider_templates.values()
    ]
    references += [
        (
            ("sessions", session.id, "provider"),
            f"session '{session.id}' is",
            session.provider.api_key,
        )
        for session in config.sessions.values()
    ]
    references += [
        (
            ("sessions", session.id, "tools", "search"),
            f"web_search of session '{session.id}' is",
            session.tools.search.api_key,
        )
        for session in config.sessions.values()
        if session.tools.search is not None
    ]
    for owner, held, secret in references:
        if secret is None:
            continue
        path = (*owner, "apiKey")
        if not secret:
            yield Finding(path, "is empty", "Leave it out when none is needed", "warning")
            continue
        try:
            resolve_key(secret, environ, home)
        except Invalid as error:
            hint = f"{error.hint}; until then {held} held"
            yield Finding(path, error.message, hint, "warning")
            continue
        written = file if is_literal(secret) else key_file(secret, environ, home)
        if written is not None and readable_by_others(written):
            yield Finding(
                path,
                f"the key stands in {str(written)!a}, which other users can read",
                f"Run: chmod 600 {str(written)!a}",
                "warning",
            )
