"""The one secret type shows nothing, and the redactor finds what was loaded in every disguise."""

from __future__ import annotations

import base64
import copy
import html
import json
import logging
import pickle
from dataclasses import asdict, dataclass
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.config.schema import Config
from clawd.secrets import HIDDEN, Redactor, Secret, worth_hiding

CANARY = 'sk-Canary"0123/456+789=&<x>'
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=20, max_size=60).filter(
    lambda text: "*" not in text
)


@dataclass
class Holder:
    """Something that holds a secret among other things."""

    secret: Secret


def test_a_secret_shows_itself_to_reveal_alone() -> None:
    """Not in a repr, a string, a format, a traceback's cause, a copy of fields or a log line."""
    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret:>10}", f"{secret!r}", "%s" % secret]  # noqa: UP031
    shown += [repr(Holder(secret)), repr(asdict(Holder(secret))), repr([secret]), repr({1: secret})]
    record = logging.LogRecord("x", 20, "", 0, "%s %r", (secret, secret), None)
    shown.append(record.getMessage())
    assert "anary" not in "".join(shown)
    assert secret.reveal() == CANARY
    assert copy.deepcopy(secret) is secret
    assert {Secret(CANARY): 1}[secret] == 1
    assert secret != CANARY
    assert secret != Secret("other")


@pytest.mark.parametrize(
    "encode", [pickle.dumps, json.dumps, msgspec.json.encode], ids=["pickle", "json", "msgspec"]
)
def test_a_secret_is_never_encoded(encode: object) -> None:
    """Whoever wants it in a file has to say so."""
    with pytest.raises(TypeError) as refused:
        encode(Secret(CANARY))  # type: ignore[operator]
    assert "anary" not in str(refused.value)


def test_a_configuration_never_writes_its_keys() -> None:
    """Dumped as JSON or as Python values, a key is three stars."""
    config = Config.model_validate(
        {
            "providerTemplates": {
                "t": {
                    "endpoint": "https://h/v1",
                    "apiKey": CANARY,
                    "availableModels": ["m"],
                    "defaultModel": "m",
                }
            }
        }
    )
    key = config.provider_templates["t"].api_key
    assert key is not None
    assert key.reveal() == CANARY
    for shown in (repr(config), str(config.model_dump()), config.model_dump_json()):
        assert "anary" not in shown


@given(key=KEYS, before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_every_disguise_of_a_secret_is_found(key: str, before: bytes, after: bytes) -> None:
    """As it is, in JSON, in an address, in HTML, and in base64 inside of something longer."""
    redactor = Redactor()
    redactor.learn([Secret(key)])
    whole = before + key.encode() + after
    for written in (
        key,
        json.dumps({"said": f"wrong key {key}."}),
        msgspec.json.encode({"said": f"wrong key {key}."}).decode(),
        f"https://h/?key={quote(key, safe='')}",
        f"https://h/?key={quote(key)}",
        f"<p>{html.escape(key)}</p>",
        base64.b64encode(whole).decode(),
        base64.urlsafe_b64encode(whole).decode(),
        json.dumps(base64.b64encode(whole).decode()),
    ):
        cleaned = redactor.text(written)
        assert HIDDEN in cleaned
        assert key not in cleaned
        assert redactor.clean(written.encode()) == cleaned.encode()


def test_what_needs_no_hiding_is_left_alone() -> None:
    """Words that stand for "none needed", short keys, and what is the name of something."""
    words = ["", "ollama", "none", "lm-studio", "not-needed", "x" * 7]
    assert not any(worth_hiding(Secret(word)) for word in words)
    redactor = Redactor()
    redactor.learn([Secret(word) for word in [*words, "gpt-4o-mini"]], names=["gpt-4o-mini"])
    text = b"lm-studio and gpt-4o-mini need not-needed"
    assert redactor.clean(text) is text


def test_a_rotated_secret_stays_hidden() -> None:
    """The old value is known for as long as the redactor lives; learning again costs nothing."""
    redactor = Redactor()
    redactor.learn([Secret("sk-old-0123456789")])
    redactor.learn([Secret("sk-new-0123456789")])
    redactor.learn([Secret("sk-new-0123456789")])
    assert redactor.text("sk-old-0123456789 sk-new-0123456789") == "*** ***"


def test_bytes_that_are_no_text_come_through() -> None:
    """What is not UTF-8 is not changed beside the secret in it."""
    redactor = Redactor()
    redactor.learn([Secret("sk-old-0123456789")])
    assert redactor.clean(b"\xff sk-old-0123456789 \xfe") == b"\xff *** \xfe"
