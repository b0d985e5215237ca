"""What a model can do with the files of its workspace."""

from __future__ import annotations

import asyncio

from clawd.agent.tool import Answer, tool
from clawd.agent.workbench import Workbench
from clawd.errors import Invalid
from clawd.fences import fenced
from clawd.ids import new_id
from clawd.messages import JSON
from clawd.tools.files.ground import Ground
from clawd.tools.files.listing import MAX_LISTED, Listed, find, list_folder
from clawd.tools.files.reading import read_part
from clawd.tools.files.refusals import shown
from clawd.tools.files.searching import Found, matcher_for, search
from clawd.tools.files.trash import delete
from clawd.tools.files.writing import Written, edit, write_whole

MAX_LINES = 10_000
MAX_FOUND = 1000


class FileTools:
    """Read, write, edit, find and delete files of one workspace.

    ``walks`` are the searches that run at once: each holds a thread for as long as it goes.
    """

    def __init__(self, ground: Ground, bench: Workbench, walks: asyncio.Semaphore) -> None:
        self._ground = ground
        self._bench = bench
        self._walks = walks

    @tool(aliases={"path": "file_path"})
    async def read_file(self, path: str, offset: int = 1, limit: int = 2000) -> Answer:
        """Read a text file of your workspace; each line has its number and a tab before it.

        Args:
            path: the file, relative to your workspace
            offset: the line to begin with, from 1
            limit: how many lines at most
        """
        _check_range("offset", offset, 2**31)
        _check_range("limit", limit, MAX_LINES)
        part = await asyncio.to_thread(read_part, self._ground, path, offset, limit)
        facts: JSON = {"path": path, "bytes": part.size}
        if part.kind:
            facts["kind"] = part.kind
        else:
            facts |= {"first": part.first, "last": part.last, "lines": part.lines}
        text = self._from_outside({path: part.source} if part.source else {}, part.text)
        return Answer(f"{part.said}\n{text}" if text else part.said, facts)

    @tool(aliases={"path": "file_path"})
    async def write_file(self, path: str, content: str) -> Answer:
        """Write a whole file of your workspace, in place of what is there; folders are made.

        Args:
            path: the file, relative to your workspace
            content: all that the file is to hold
        """
        written = await asyncio.to_thread(write_whole, self._ground, path, content, self._source())
        done = "made" if written.made else "written"
        return self._written(path, f"{shown(path)} was {done}: {written.size:,} bytes", written)

    @tool(aliases={"path": "file_path", "old": "old_string", "new": "new_string"})
    async def edit_file(self, path: str, old: str, new: str, replace_all: bool = False) -> Answer:
        """Replace a passage of a file of your workspace, which must be there exactly once.

        Args:
            path: the file, relative to your workspace
            old: the passage as it stands, with blanks and line ends, without line numbers
            new: what is to stand there
            replace_all: replace it wherever it stands
        """
        done = await asyncio.to_thread(
            edit, self._ground, path, old, new, self._source(), every=replace_all
        )
        times = "" if done.replaced == 1 else f" in {done.replaced} places"
        answer = self._written(path, f"{shown(path)} was edited{times}:", done)
        diff = self._from_outside({path: done.source} if done.source else {}, done.diff)
        return Answer(f"{answer.text}\n{diff}", {**(answer.facts or {}), "replaced": done.replaced})

    @tool()
    async def list_dir(self, path: str = ".") -> Answer:
        """List what is in a folder of your workspace.

        Args:
            path: the folder, relative to your workspace
        """
        listed = await asyncio.to_thread(list_folder, self._ground, path)
        head = f"{shown(path)}: {listed.total or 'no'} {_many(listed.total, 'entry', 'entries')}"
        return _list(head, listed, {"path": path, "entries": listed.total})

    @tool()
    async def find_files(self, pattern: str, path: str = ".", limit: int = 100) -> Answer:
        """Find files of your workspace by name; links are not followed.

        Args:
            pattern: such as *.md for names, or notes/**/*.md for paths below the folder
            path: the folder to look in, relative to your workspace
            limit: how many at most
        """
        _check_range("limit", limit, MAX_LISTED)
        async with self._walks:
            found = await asyncio.to_thread(find, self._ground, pattern, path, limit)
        head = f"{found.total or 'no'} {_many(found.total, 'file', 'files')}"
        head += f" ({found.stopped})" if found.stopped else ""
        return _list(head, found, {"files": found.total, "complete": not found.stopped})

    @tool(aliases={"pattern": "glob"})
    async def search_text(
        self,
        query: str,
        path: str = ".",
        pattern: str | None = None,
        regex: bool = False,
        ignore_case: bool = False,
        limit: int = 100,
    ) -> Answer:
        """Search the text files of your workspace line by line; links are not followed.

        Args:
            query: the text to look for
            path: the folder or the file to look in, relative to your workspace
            pattern: only files whose name or path fits, such as *.md or notes/**/*.md
            regex: the query is a regular expression
            ignore_case: upper and lower case make no difference
            limit: how many lines at most
        """
        _check_range("limit", limit, MAX_FOUND)
        matcher = await asyncio.to_thread(matcher_for, query, regex=regex, ignore_case=ignore_case)
        async with self._walks:
            found = await asyncio.to_thread(search, self._ground, matcher, path, pattern, limit)
        facts: JSON = {
            "found": len(found.lines), "files": found.files, "complete": not found.stopped
        }  # fmt: skip
        text = self._from_outside(found.sources, "\n".join(found.lines))
        return Answer(f"{_searched(found)}\n{text}" if text else _searched(found), facts)

    @tool(aliases={"path": "file_path"})
    async def delete_file(self, path: str) -> Answer:
        """Move a file of your workspace to the trash folder; an empty folder is removed.

        Args:
            path: the file, relative to your workspace
        """
        deleted = await asyncio.to_thread(delete, self._ground, path)
        if not deleted.kept:
            return Answer(f"The empty folder {shown(path)} was removed.", {"path": path})
        text = f"{shown(path)} is now {shown(deleted.kept)}"
        if deleted.pruned:
            text += f"; {deleted.pruned} old files left the trash for good"
        return Answer(text, {"path": path, "keptAs": deleted.kept})

    def _source(self) -> str:
        """Where the text of what this turn writes may come from, "" for inside."""
        return ", ".join(self._bench.trust.sources)

    def _written(self, path: str, text: str, written: Written) -> Answer:
        if written.unmarked:
            text += "\n[clawd: that it holds text from outside could not be noted down]"
        return Answer(text, {"path": path, "bytes": written.size})

    def _from_outside(self, sources: dict[str, str], text: str) -> str:
        """The text, fenced when these files are from outside, by which the turn is marked."""
        for path, source in sources.items():
            self._bench.trust.mark(f"file {shown(path)}, which came from {source}")
        if not sources or not text:
            return text
        whose = "; ".join(sorted(set(sources.values())))
        return f"[from outside: {whose}]\n{fenced(new_id('file'), text)}"


def _check_range(name: str, value: int, highest: int) -> None:
    if not 1 <= value <= highest:
        raise Invalid("invalid_arguments", f"{name} must be from 1 to {highest}, not {value}")


def _list(head: str, listed: Listed, facts: JSON) -> Answer:
    lines = [head, *listed.lines]
    if listed.total > len(listed.lines):
        lines.append(f"… and {listed.total - len(listed.lines)} more")
    return Answer("\n".join(lines), facts)


def _many(count: int, one: str, more: str) -> str:
    return one if count == 1 else more


def _searched(found: Found) -> str:
    count, files = len(found.lines), found.files
    text = f"{count or 'no'} {_many(count, 'line', 'lines')} found"
    text += f" in {files} {_many(files, 'file', 'files')}"
    if found.passed_over:
        text += f"; {found.passed_over} passed over: binary, large or unreadable"
    return f"{text} ({found.stopped})" if found.stopped else text
