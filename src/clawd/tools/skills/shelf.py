"""The skills of a place: found by looking, remembered until something there changes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from clawd.errors import Invalid
from clawd.storage.workspace import MARKS
from clawd.tools.skills.skill import MAIN, Skill, Where, read_skill

FOLDER = "skills"
MOST = 200
"""How many folders of one place are looked at."""

Signature = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """What one folder ``skills`` holds, by name, and what is wrong with the others."""

    skills: tuple[Skill, ...] = ()
    problems: tuple[str, ...] = ()


class Shelves:
    """Reads the folders ``skills`` of workspaces and of the home; blocks, but for ``stands``."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Signature, Shelf]] = {}

    def stands(self, place: Path) -> bool:
        """Whether there is anything to look at: one question to the system, asked in each turn."""
        return os.path.lexists(f"{place}/{FOLDER}")

    def look(self, place: Path, where: Where) -> Shelf:
        """What is in ``place/skills`` now; files that are as they were are not read again."""
        names, problems = _folders(place, where)
        facts = [_facts(place / FOLDER / name, *MAIN) for name in names]
        signature = (*problems, _facts(place, MARKS), *facts)
        known = self._known.get(place)
        if known is None or known[0] != signature:
            known = (signature, _read(place, where, names, problems))
            self._known[place] = known
        return known[1]

    def forget(self, places: Iterable[Path]) -> None:
        """Keep only what was found in these."""
        kept = set(places)
        self._known = {place: known for place, known in self._known.items() if place in kept}


def _folders(place: Path, where: Where) -> tuple[list[str], list[str]]:
    """The names of the folders that may be skills, sorted, and what is wrong with the others."""
    shelf = place / FOLDER
    problems: list[str] = []
    if where == "workspace" and shelf.is_symlink():
        return [], [f"{shelf}: is a link, and its skills are not looked at: make it a folder"]
    names: list[str] = []
    try:
        with os.scandir(shelf) as entries:
            for entry in islice(entries, 10 * MOST):
                if entry.name.startswith(".") or not entry.is_dir():
                    continue
                if where == "workspace" and entry.is_symlink():
                    problems.append(f"{_shown(shelf, entry.name)}: is a link: put a folder there")
                elif not _plain(entry.name):
                    problems.append(
                        f"{_shown(shelf, entry.name)}: a skill's name has letters, digits and "
                        "hyphens alone: rename it"
                    )
                else:
                    names.append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    except OSError as failure:
        return [], [f"{shelf}: cannot be read ({(failure.strerror or str(failure)).lower()})"]
    names.sort()
    if len(names) > MOST:
        problems.append(f"{shelf}: has {len(names)} skills; those after the {MOST}th are left out")
    return names[:MOST], sorted(problems)[:MOST]


def _read(place: Path, where: Where, names: list[str], problems: list[str]) -> Shelf:
    skills: list[Skill] = []
    broken = list(problems)
    for name in names:
        root, inside, linked = place, f"{FOLDER}/{name}", False
        if where == "home":
            # The operator may have linked it from somewhere: its files are held in there.
            root, inside = (place / FOLDER / name).resolve(), "."
            linked = root.parent != place.resolve() / FOLDER
        try:
            skills.append(replace(read_skill(name, where, root, inside), linked=linked))
        except Invalid as failure:
            broken.append(failure.message)
    return Shelf(tuple(skills), tuple(broken))


def _facts(folder: Path, *files: str) -> Signature:
    """What changes with these files of a folder; with their marks too."""
    found: list[object] = [folder.name]
    for name in files:
        try:
            facts = os.stat(folder / name)
        except OSError:
            continue
        found += [facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino]
    return tuple(found)


def _plain(name: str) -> bool:
    return len(name) <= 64 and all(c.isalnum() or c in "-_." for c in name)


def _shown(shelf: Path, name: str) -> str:
    return f"{shelf}/{name[:64]!a}"
