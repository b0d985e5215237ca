"""The bus: how a request reaches a session."""
