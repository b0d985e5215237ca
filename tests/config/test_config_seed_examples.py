"""The two configuration examples of the first specification load as they stand."""

from __future__ import annotations

from clawd.config.loader import check

PROVIDER_TEMPLATES = """{
  "providerTemplates": {
    "openai": {
      "name": "OpenAI",
      "endpoint": "https://api.openai.com/v1",
      "apiKey": "sk-YOUR_KEY",
      "availableModels": ["gpt-4o", "gpt-4o-mini"],
      "defaultModel": "gpt-4o",
      "embeddingModel": "text-embedding-3-small",
      "contextWindow": 128000
    }
  }
}"""

SESSION_A2A = """{
  "sessions": {
    "my_session": {
      "a2a": {
        "enabled": true,
        "hiddenFromAgents": false
      }
    }
  }
}"""


def test_the_provider_templates_example_loads() -> None:
    """The example key is a warning that never shows it, and the template keeps its values."""
    checked = check(PROVIDER_TEMPLATES, environ={}, home=None)
    config = checked.require()
    assert list(config.provider_templates) == ["openai", "offline"]
    template = config.provider_templates["openai"]
    assert template.available_models == ("gpt-4o", "gpt-4o-mini")
    assert (template.default_model, template.context_window) == ("gpt-4o", 128_000)
    assert template.embedding_model == "text-embedding-3-small"
    key = next(each for each in checked.problems if each.path.endswith("apiKey"))
    assert "example value" in key.message
    assert (key.severity, key.line, key.column) == ("warning", 6, 7)
    assert "sk-YOUR" not in str(key)
    assert checked.inactive == []


def test_the_session_a2a_example_loads() -> None:
    """A session of which only `a2a` is written has every default, and is served offline."""
    checked = check(SESSION_A2A, environ={}, home=None)
    config = checked.require()
    session = config.sessions["my_session"]
    assert (session.name, session.workspace) == ("my_session", "workspaces/my_session")
    assert session.a2a.enabled
    assert not session.a2a.hidden_from_agents
    assert config.template_of(session).id == "offline"
    assert config.model_of(session) == "offline"
    assert [problem.severity for problem in checked.problems] == ["warning"]
    assert checked.inactive == []
