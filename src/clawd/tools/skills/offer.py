"""Which skills one session is offered, out of its workspace and the home."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clawd.fences import quoted
from clawd.nearest import nearest
from clawd.tools.skills.header import DESCRIPTION
from clawd.tools.skills.shelf import Shelf
from clawd.tools.skills.skill import Skill

LISTED_BYTES = 16 * 1024
"""How long all descriptions together may be; those that come later are listed by name alone."""

_INTRODUCTION = """# SKILLS

Folders with instructions for a particular kind of work. Before such work, read the skill with \
skill_open and follow it. What stands in quotes says when it is of use."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The skills of a session by name, sorted."""

    skills: dict[str, Skill]
    problems: tuple[str, ...] = ()
    """What keeps a skill from being offered, a line each."""
    clashes: tuple[str, ...] = ()
    """Which skill stands in the place of another of its name, a line each."""

    def listed(self) -> str:
        """The part of the system prompt; the same bytes while the skills are the same.

        What was written after text from outside was read is counted, not named: a name and a
        description are read by the model in every turn.
        """
        if not self.skills:
            return ""
        lines, left = [_INTRODUCTION], LISTED_BYTES
        trusted = [skill for skill in self.skills.values() if not skill.untrusted]
        for skill in trusted:
            line = f"- {skill.name}: {quoted(skill.header.description, DESCRIPTION)}"
            left -= len(line.encode())
            lines.append(line if left >= 0 else f"- {skill.name}")
        if hidden := len(self.skills) - len(trusted):
            lines.append(
                f"{_times(hidden)} not listed: written after text from outside was read. "
                "Your human sees them with `clawd skills list`."
            )
        return "\n".join(lines)


def offer(workspace: Shelf, home: Shelf, wanted: Sequence[str] | None) -> Offer:
    """What is offered of two places: all, or only what is ``wanted`` by name.

    The workspace's wins over the home's of the same name, unless it is untrusted: nothing from
    outside takes the place of what the operator has put there.
    """
    skills = {skill.name: skill for skill in home.skills}
    clashes = []
    for skill in workspace.skills:
        if (other := skills.get(skill.name)) is None:
            skills[skill.name] = skill
        elif skill.untrusted:
            clashes.append(
                f"{skill.folder}: is not offered: it was written after text from outside was "
                f"read, and {other.folder} has the same name"
            )
        else:
            skills[skill.name] = skill
            clashes.append(f"{skill.folder}: takes the place of {other.folder}")
    problems = (*workspace.problems, *home.problems)
    if wanted is not None:
        problems += tuple(_missing(wanted, skills))
        skills = {name: skill for name, skill in skills.items() if name in wanted}
    return Offer(dict(sorted(skills.items())), problems, tuple(clashes))


def _missing(wanted: Iterable[str], there: Iterable[str]) -> Iterable[str]:
    names = sorted(there)
    for name in wanted:
        if name not in names:
            near = nearest(name, names)
            yield f"skills: there is no skill {name[:64]!a}" + (
                f", did you mean {near}?" if near else ""
            )


def _times(count: int) -> str:
    return "1 more is" if count == 1 else f"{count} more are"
