"""What Tab offers: commands, sessions, tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from clawd.cli.chat.slash import COMMANDS

_TAKES_SESSION = frozenset({"switch", "send", "delegate"})


class ChatCompleter(Completer):
    """Offers from names at hand: it never waits for the daemon."""

    def __init__(
        self, sessions: Callable[[], Iterable[str]], tasks: Callable[[], Iterable[str]]
    ) -> None:
        self._sessions = sessions
        self._tasks = tasks

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """The names that go on from what stands before the cursor."""
        text = document.text_before_cursor
        command, blank, rest = text.partition(" ")
        if text.startswith("/") and not blank:
            for name, (arguments, line, _) in COMMANDS.items():
                if name.startswith(text[1:]):
                    yield Completion(
                        f"/{name} " if arguments else f"/{name}",
                        -len(text),
                        display=f"/{name} {arguments}".rstrip(),
                        display_meta=line,
                    )
            return
        word = document.get_word_before_cursor(WORD=True)
        if command.startswith("/") and " " not in rest:
            if command[1:] in _TAKES_SESSION:
                yield from _of(self._sessions(), rest.removeprefix("@"), len(rest))
            elif command[1:] == "cancel":
                yield from _of(self._tasks(), rest, len(rest))
        elif word.startswith("@"):
            yield from _of((f"@{name}" for name in self._sessions()), word, len(word))


def _of(names: Iterable[str], begun: str, length: int) -> Iterator[Completion]:
    for name in names:
        if name.lower().startswith(begun.lower()):
            yield Completion(f"{name} ", -length, display=name)
