"""Every problem of a configuration is named at once: its place, what is wrong, the mend."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clawd.config.loader import Problem, check, load

OPENAI = (
    '"openai": {"endpoint": "https://api.openai.com/v1", '
    '"availableModels": ["gpt-4o", "gpt-4o-mini"], "defaultModel": "gpt-4o"}'
)


def problems(text: str | bytes, home: Path | None = None, **environ: str) -> list[Problem]:
    """All problems of a text."""
    return check(text, environ=environ, home=home).problems


def only(text: str | bytes, home: Path | None = None) -> Problem:
    """The one error of a text."""
    (error,) = check(text, environ={}, home=home).errors
    return error


def session(entry: str) -> str:
    """A configuration of two sessions, the first of which is `x` with this entry."""
    return f'{{"sessions": {{"x": {entry}, "y": {{}}}}}}'


def template(**changed: str) -> str:
    """A configuration with one template `t`, some of its members written otherwise."""
    members = {
        "endpoint": '"https://host/v1"',
        "availableModels": '["a", "b"]',
        "defaultModel": '"a"',
    } | changed
    text = ", ".join(f'"{key}": {value}' for key, value in members.items() if value)
    return f'{{"providerTemplates": {{"t": {{{text}}}}}, "sessions": {{"x": {{}}, "y": {{}}}}}}'


def test_the_form_of_a_problem() -> None:
    """File, line, column, path, problem, as the specification prints it."""
    text = (
        f'{{"providerTemplates": {{{OPENAI}}},\n"sessions": {{"other": {{}},\n"coder": {{\n'
        '      "provider": {\n      "template": "openai",\n      "model": "gpt-9"}}}}'
    )
    assert str(only(text)) == (
        "config.json:6:7: sessions.coder.provider.model: "
        "'gpt-9' is not offered by template 'openai' (gpt-4o, gpt-4o-mini)"
    )


def test_b01_a_missing_file_says_what_to_run(tmp_path: Path) -> None:
    """No file: the path and `clawd init`."""
    (error,) = load(tmp_path, {}).errors
    assert str(error) == f"config.json: {tmp_path / 'config.json'} was not found. Run: clawd init"


@pytest.mark.parametrize("content", [b"", b" \n\t", b"\xef\xbb\xbf"])
def test_b02_an_empty_file_is_named(tmp_path: Path, content: bytes) -> None:
    """Nothing, or nothing but blanks."""
    (tmp_path / "config.json").write_bytes(content)
    (error,) = load(tmp_path, {}).errors
    assert "the file is empty" in error.message


def test_b03_a_slip_of_the_pen_has_its_place() -> None:
    """The place of a syntax error, and no guesses about the rest."""
    checked = check('{\n  "sessions": {\n    x: {}\n    "y": {}\n', environ={}, home=None)
    assert checked.config is None
    assert [(each.line, each.column) for each in checked.problems] == [(3, 5), (4, 5)]


def test_b04_encodings() -> None:
    """A byte order mark is accepted; another encoding is named with its first byte."""
    assert problems(b"\xef\xbb\xbf" + session("{}").encode()) == []
    utf16 = only(session("{}").encode("utf-16-le").join([b"\xff\xfe", b""]))
    assert "not UTF-8 (byte 0xff at offset 0; it looks like UTF-16)" in utf16.message
    latin = only(b'{\n "sessions": {"caf\xe9": {}}}')
    assert "not UTF-8 (byte 0xe9 at offset 20)" in latin.message
    assert (latin.line, latin.column) == (2, 19)


def test_b05_a_duplicate_key_is_refused_with_both_lines() -> None:
    """The last one does not silently win."""
    error = only('{"sessions": {\n"a": {},\n"b": {},\n"a": {}}}')
    assert str(error).startswith(
        'config.json:4:1: sessions.a: key "a" appears twice in sessions (lines 2 and 4)'
    )


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        (session('{"a2a": {"hiddenFromAgent": true}}'), "sessions.x.a2a.hiddenFromAgent",
         "Did you mean hiddenFromAgents?"),
        (session('{"a2a": {"hidden_from_agents": true}}'), "sessions.x.a2a.hidden_from_agents",
         "Did you mean hiddenFromAgents?"),
        ('{"sesions": {}, "sessions": {"a": {}, "b": {}}}', "sesions", "Did you mean sessions?"),
        (session('{"tools": {"search": {"provider": "searxng", "endpoint": "http://h", '
                 '"apikey": "sk-canary"}}}'),
         "sessions.x.tools.search.apikey", "Did you mean apiKey?"),
        (session('{"a2a": {"access": [{"allow": true, "form": "a*"}]}}'),
         "sessions.x.a2a.access[0].form", "Did you mean from?"),
        (session('{"id": "z"}'), "sessions.x.id", "The id is the entry's own key, 'x'"),
        (session('{"context": {"zzz": 1}}'), "sessions.x.context.zzz",
         "Known here: compressionThreshold, keepRecentMessages, maxTokens"),
    ],
)  # fmt: skip
def test_b06_an_unknown_key_names_the_nearest(text: str, path: str, hint: str) -> None:
    """A typo here could expose a session, so it is an error; its value is not shown."""
    error = only(text)
    assert (error.path, error.message, error.hint) == (path, "unknown key", hint)


def test_keys_that_begin_with_x_are_left_alone() -> None:
    """Everywhere, and they do nothing; a session's id may begin so as well."""
    text = (
        '{"x-top": 1, "sessions": {"x-ray": {"x-note": {}, "a2a": {"x-y": [1]}}, "b": {}}, '
        '"limits": {"x-z": null}}'
    )
    checked = check(text, environ={}, home=None)
    assert checked.problems == []
    assert list(checked.require().sessions) == ["x-ray", "b"]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (session('{"a2a": {"hiddenFromAgents": "false"}}'), "sessions.x.a2a.hiddenFromAgents",
         "must be true or false, not the text 'false'"),
        (template(contextWindow='"8080"'), "providerTemplates.t.contextWindow",
         "must be a whole number, not the text '8080'"),
        (template(contextWindow="1.5"), "providerTemplates.t.contextWindow",
         "must be a whole number, not 1.5"),
        (template(contextWindow="-1"), "providerTemplates.t.contextWindow",
         "must be at least 256, not -1"),
        (template(contextWindow="true"), "providerTemplates.t.contextWindow",
         "must be a whole number, not true"),
        (template(contextWindow="1e999"), "providerTemplates.t.contextWindow",
         "the number is too large"),
        (template(contextWindow="NaN"), "providerTemplates.t.contextWindow",
         "NaN is not a number in JSON"),
        (template(apiKey="12345"), "providerTemplates.t.apiKey",
         "must be text in double quotes, not a number"),
        (template(endpoint=""), "providerTemplates.t.endpoint", "is required and missing"),
        (session('{"role": "creativ"}'), "sessions.x.role",
         "must be one of creative, deterministic, hybrid, not the text 'creativ'"),
        (session('{"capabilities": ["a", 5]}'), "sessions.x.capabilities[1]",
         "must be text in double quotes, not 5"),
        (session('{"capabilities": "a"}'), "sessions.x.capabilities",
         "must be a list in [ ], not the text 'a'"),
        (session("5"), "sessions.x", "must be an object in { }, not 5"),
        (session('{"limits": {"maxCostPerDay": 0}}'), "sessions.x.limits.maxCostPerDay",
         "must be greater than 0, not 0"),
        ('{"sessions": []}', "sessions", "must be an object in { }, not a list"),
        ("[]", "", "must be an object in { }, not a list"),
        (session('{"tools": {"load": ["os.system"]}}'), "sessions.x.tools.load",
         "'os.system' is not of the form package.module:name"),
    ],
)  # fmt: skip
def test_b07_a_wrong_type_shows_path_and_value(text: str, path: str, message: str) -> None:
    """Nothing is converted: text is no boolean, a fraction no count."""
    error = only(text)
    assert (error.path, error.message) == (path, message)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("ftp://host/v1", "must begin with https:// or http://"),
        ("host/v1", "must begin with https:// or http://"),
        ("", "must begin with"),
        ("https://ho st/v1", "holds a space"),
        ("https://sk-canary@host/v1", "must not hold a user name or a key"),
        ("https://host/v1#frag", "must not have a part after '#'"),
        ("https://:443/v1", "names no host"),
        ("https://host:99999/v1", "is not a valid address"),
        ("https://[::1/v1", "is not a valid address"),
    ],
)
def test_b08_an_endpoint_is_a_plain_address(endpoint: str, words: str) -> None:
    """The form to use is in the hint; what was written is not repeated, it may hold a key."""
    error = only(template(endpoint=f'"{endpoint}"'))
    assert error.path == "providerTemplates.t.endpoint"
    assert words in error.message
    assert error.hint.startswith("Use https://host/v1")
    assert "canary" not in str(error)


def test_b08_clear_text_to_another_machine_is_a_warning() -> None:
    """On this machine it is fine."""
    (warning,) = problems(template(endpoint='"http://10.0.0.7/v1"'))
    assert (warning.severity, warning.path) == ("warning", "providerTemplates.t.endpoint")
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert problems(template(endpoint=f'"http://{host}:11434/v1"')) == []


def test_b11_the_default_model_is_offered() -> None:
    """A default that is not in the list, and an empty list."""
    error = only(template(defaultModel='"c"'))
    assert error.message == "'c' is not in availableModels (a, b)"
    assert only(template(availableModels="[]")).message == "must not be empty"


@pytest.mark.parametrize(
    ("sessions", "path", "words"),
    [
        ('"Bot": {}, "bot": {}', "sessions.bot", "'Bot' and 'bot' differ only in case"),
        ('"a": {"workspace": "w"}, "b": {"workspace": "./w/"}', "sessions.b.workspace",
         "is also the workspace of session 'a'"),
        ('"a": {"workspace": "w"}, "b": {"workspace": "w/b"}', "sessions.b.workspace",
         "is inside the workspace of session 'a'"),
        ('"a": {"workspace": "w/b"}, "b": {"workspace": "w"}', "sessions.b.workspace",
         "has the workspace of session 'a' inside it"),
    ],
)  # fmt: skip
def test_b12_two_sessions_keep_apart(sessions: str, path: str, words: str) -> None:
    """Ids and workspaces; both names are shown."""
    error = only(f'{{"sessions": {{{sessions}}}}}')
    assert error.path == path
    assert words in error.message


@pytest.mark.parametrize(
    ("workspace", "words"),
    [
        ("/", "is not inside the home folder"),
        ("/etc", "is not inside the home folder"),
        ("~/x", "is not expanded"),
        ("../x", "must not contain '..'"),
        ("a/../../x", "must not contain '..'"),
        (".", "is the home folder itself"),
        ("./", "is the home folder itself"),
        ("", "must not be empty"),
        ("state/x", "belongs to the daemon"),
        ("a\\\\b", "backslash or a control character"),
        ("a\\u0000b", "backslash or a control character"),
        ("blocked", "is not a folder"),
        ("blocked/inside", "is not a folder"),
        ("outside", "leads out of the home folder"),
        ("outside/inside", "leads out of the home folder"),
        ("loop", "cannot be used"),
    ],
)
def test_b13_a_workspace_is_a_folder_of_home(tmp_path: Path, workspace: str, words: str) -> None:
    """Path, reason and mend for each way in which it is not."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "blocked").write_text("a file")
    (home / "outside").symlink_to(tmp_path)
    (home / "loop").symlink_to("loop")
    error = only(session(f'{{"workspace": "{workspace}"}}'), home)
    assert error.path == "sessions.x.workspace"
    assert words in error.message
    assert error.hint or not workspace


def test_b13_a_workspace_may_come_later_or_be_absolute(tmp_path: Path) -> None:
    """What is missing is made; an absolute path inside the home is the same as a relative one."""
    assert problems(session('{"workspace": "deep/er"}'), tmp_path) == []
    assert problems(session(f'{{"workspace": "{tmp_path / "own"}"}}'), tmp_path) == []


@pytest.mark.parametrize(
    "name",
    ["../x", "a/b", "a\\\\b", ".", "..", "", "a" * 65, "a b", "-rf", "a\\n", "a\\u0000b", "\uff41",
     "a%2e", "\U0001f600", "\\u202e", "user", "ALL", "operator", "state"],
)  # fmt: skip
def test_b14_a_session_id_is_a_plain_name(name: str, tmp_path: Path) -> None:
    """One error, with the rule, in plain ASCII; nothing is made on the disk."""
    error = only(f'{{"sessions": {{"{name}": {{}}, "y": {{}}}}}}', tmp_path)
    assert "is not allowed" in error.message or "is reserved" in error.message
    assert str(error).isascii()
    assert list(tmp_path.iterdir()) == []


def test_references_to_templates() -> None:
    """A template or a fallback that is not there; the nearest is named."""
    error = only(session('{"provider": {"template": "ofline"}}'))
    assert error.message == "there is no template 'ofline'"
    assert error.hint == "Did you mean 'offline'?"
    assert only(session('{"provider": {"fallback": "zzz"}}')).hint == "There are: offline"
    assert only(template(fallback='"zzz"')).path == "providerTemplates.t.fallback"


def test_a_template_that_is_wrong_itself_is_named_once() -> None:
    """Whoever refers to it is not accused as well."""
    text = '{"providerTemplates": {"t": {}}, "sessions": {"a": {"provider": {"template": "t"}}}}'
    assert {each.path for each in check(text, environ={}, home=None).errors} == {
        "providerTemplates.t.endpoint",
        "providerTemplates.t.availableModels",
        "providerTemplates.t.defaultModel",
    }


def test_fallbacks_do_not_go_round() -> None:
    """A circle is named once, with its members; a chain is fine."""

    def made(**fallbacks: str) -> str:
        entries = [
            f'"{name}": {{"endpoint": "offline:", "availableModels": ["m"], "defaultModel": "m"'
            + (f', "fallback": "{to}"' if to else "") + "}"
            for name, to in fallbacks.items()
        ]  # fmt: skip
        return (
            f'{{"providerTemplates": {{{", ".join(entries)}}}, "sessions": {{"x":{{}},"y":{{}}}}}}'
        )

    assert problems(made(a="b", b="c", c="offline")) == []
    assert only(made(a="b", b="c", c="a")).message.endswith("a → b → c → a")
    assert only(made(a="b", b="b")).message.endswith("b → b")


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        ('{"apiKey": "x"}', "apiKey needs an endpoint beside it"),
        ('{"contextWindow": 1000}', "contextWindow needs an endpoint beside it"),
        ('{"endpoint": "https://h/v1"}', "an inline endpoint needs a model"),
        ('{"endpoint": "https://h/v1", "model": "m", "template": "offline"}', "names both"),
    ],
)
def test_a_provider_is_a_template_or_an_endpoint(provider: str, words: str) -> None:
    """Not a mixture, and not half of one."""
    error = only(session(f'{{"provider": {provider}}}'))
    assert error.path == "sessions.x.provider"
    assert words in error.message


def test_offline_cannot_be_replaced() -> None:
    """It may be written, to give it a place in the order, but not be made another one."""
    text = template().replace('"t":', '"offline":')
    assert "built-in template" in only(text).message
    own = '{"providerTemplates": {"offline": {"name": "None"}}, "sessions": {"a":{},"b":{}}}'
    assert check(own, environ={}, home=None).require().provider_templates["offline"].name == "None"


@pytest.mark.parametrize("own", [True, False])
def test_a_cost_limit_needs_a_price(own: bool) -> None:
    """For every model that may serve the session, its fallbacks too; offline costs nothing."""
    top, inner = ("", '"limits": {"maxCostPerDay": 5}') if own else (
        ', "limits": {"maxCostPerDay": 5}', "")  # fmt: skip
    models = '"availableModels": ["m"], "defaultModel": "m"'
    text = (
        '{"providerTemplates": '
        f'{{"free": {{"endpoint": "offline:", "fallback": "paid", {models}}},'
        f'"paid": {{"endpoint": "https://h/v1", PRICE {models}}}}}, '
        f'"sessions": {{"x": {{{inner}}}, "y": {{"provider": {{"template": "offline"}}}}}}{top}}}'
    )
    error = only(text.replace("PRICE", ""))
    assert error.path == ("sessions.x.limits.maxCostPerDay" if own else "limits.maxCostPerDay")
    assert "'m' of 'paid'" in error.message
    priced = text.replace("PRICE", '"prices": {"m": {"input": 1, "output": 2.5}},')
    assert problems(priced) == []


def test_one_talking_session_is_a_warning() -> None:
    """A single A2A session has nobody to talk to; disabled ones do not count."""
    text = '{"sessions": {"a": {}, "b": {"a2a": {"enabled": false}}, "c": {"enabled": false}}}'
    (warning,) = problems(text)
    assert (warning.severity, warning.path) == ("warning", "sessions")
    assert "only one session has A2A enabled (a)" in warning.message


def test_every_problem_is_named_at_once() -> None:
    """Form, references, keys and ids in one answer, in the order of the file."""
    text = """{
      "providerTemplates": {
        "two": {"endpoint": "ftp://h", "availableModels": []},
        "one": {"endpoint": "https://h/v1", "availableModels": ["a"], "defaultModel": "b",
                "apiKey": "${NOT_THERE}"},
      },
      "sessions": {
        "x": {"provider": {"template": "one", "model": "c"}, "a2a": {"enable": true}},
        "X": {"workspace": "workspaces/x", "limits": {"maxHops": 0}},
        "../y": {},
      },
      "typo": NaN,
    }"""
    found = check(text, environ={}, home=None)
    assert found.config is None
    assert [each.path for each in found.problems] == [
        "providerTemplates.two.defaultModel",
        "providerTemplates.two.endpoint",
        "providerTemplates.two.availableModels",
        "providerTemplates.one.defaultModel",
        "providerTemplates.one.apiKey",
        "sessions.x.provider.model",
        "sessions.x.a2a.enable",
        "sessions.X",
        "sessions.X.workspace",
        "sessions.X.limits.maxHops",
        'sessions["../y"]',
        "typo",
    ]
    assert all(each.line and each.column for each in found.problems)


def test_keys_of_parts_to_come_load_and_are_named() -> None:
    """They do nothing yet, and say so; what is switched off asks for nothing."""
    text = (
        '{"gateway": {"enabled": true, "port": 8000}, "sessions": {"a": {"kind": "code"}, '
        '"b": {"kind": "model"}}}'
    )
    checked = check(text, environ={}, home=None)
    assert checked.problems == []
    assert checked.inactive == ["gateway", "sessions.a.kind"]


def test_r10_half_of_a_file_is_refused_with_the_place(tmp_path: Path) -> None:
    """Cut at any byte, a file is refused and its end is named, or it is still whole."""
    text = session('{"name": "N", "a2a": {"enabled": true}, "capabilities": ["a"]}')
    for length in range(1, len(text)):
        checked = check(text[:length], environ={}, home=tmp_path)
        assert checked.config is None, text[:length]
        assert checked.problems[-1].line == 1
        assert checked.problems[-1].column > 0


@pytest.mark.parametrize("kind", ["folder", "pipe", "unreadable name"])
def test_a_file_that_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    """It never blocks and never raises."""
    if kind == "pipe":
        os.mkfifo(tmp_path / "config.json")
    elif kind == "folder":
        (tmp_path / "config.json").mkdir()
    else:
        (tmp_path / "config.json").symlink_to("config.json")
    (error,) = load(tmp_path, {}).errors
    assert error.message.startswith(str(tmp_path / "config.json"))
