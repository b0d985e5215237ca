"""Why a server is not there."""

from __future__ import annotations

EXTRA = "pip install 'clawd-daemon[mcp]'"


class ServerProblem(Exception):
    """A server failed; the text is one sentence about it, without its name."""


def problem_of(error: BaseException) -> ServerProblem:
    """What a group of errors is about: the reason in it, or the first error in words."""
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, ServerProblem):
            return leaf
    text = str(leaves[0]).strip() or type(leaves[0]).__name__
    return ServerProblem(text.splitlines()[0][:300])


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
