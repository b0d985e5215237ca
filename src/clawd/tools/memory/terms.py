"""Words, and pairs of characters where a script has no spaces between words.

Chinese, Japanese, Thai and others write words one after another. A run of such characters is
indexed by the pairs in it: two letters are the shortest word that is worth finding, and most
Chinese words are no longer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

MAX_TERMS = 24
"""How many different words of a question are looked for."""
_QUESTION = 4000
"""How many characters of a question are looked at."""

_RUN = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff]+"
)
_ENDING = re.compile("[\u3040-\u309f]")
_WORD = re.compile(r"\w+")


def spaced(text: str) -> str:
    """The text without the runs of scripts that have no spaces."""
    return text if text.isascii() else _RUN.sub(" ", text)


def pairs(text: str) -> str:
    """Every two neighbours in such runs, as words that any tokenizer takes as they are."""
    if text.isascii():
        return ""
    return " ".join(token for run in runs(text) for token in pairs_of(run))


def pairs_of(run: str) -> Iterator[str]:
    """The pairs of one run; the last character also stands for itself, so that it is found."""
    codes = [f"{ord(character):x}" for character in run]
    for first, second in pairwise(codes):
        yield f"{first}q{second}"
    yield f"{codes[-1]}q"


def runs(text: str) -> list[str]:
    """The runs of a text, in one form for all ways to write a character."""
    return [] if text.isascii() else _RUN.findall(unicodedata.normalize("NFKC", text).casefold())


def words(text: str) -> list[str]:
    """The different words of a text that say something, as they stand; all if none of them does."""
    found = dict.fromkeys(word.casefold() for word in _WORD.findall(spaced(text[:_QUESTION])))
    # An underscore is a letter to the pattern, and none to the index.
    parts = dict.fromkeys(part for word in found for part in word.split("_") if part)
    telling = [word for word in parts if word not in COMMON and (len(word) > 1 or word.isdigit())]
    return (telling or list(parts))[:MAX_TERMS]


def telling(text: str) -> list[str]:
    """As ``words``, but none where none says something."""
    return [word for word in words(text) if word not in COMMON and len(word) > 1]


def telling_pairs(text: str) -> list[str]:
    """The pairs of a text that say something: those with Hiragana mostly are endings."""
    found = [(run[at : at + 2]) for run in runs(text[:_QUESTION]) for at in range(len(run) - 1)]
    said = [pair for pair in found if not _ENDING.search(pair)] or found
    return list(dict.fromkeys(next(pairs_of(pair)) for pair in said))[: 2 * MAX_TERMS]


COMMON = frozenset(
    # English
    "a about after again all also am an and any are as at be because been before being but by can "
    "could did do does doing done don down each else few for from get go got had has have having "
    "he her here hers him his how i if in into is isn it its just let ll lot make many may me "
    "might more most much must my need no not now of off ok okay on once one only or other our "
    "out over own please re say should show so some such tell than thank thanks that the their "
    "them then there these they thing things this those to too under until up us use ve very want "
    "was way we well were what when where which while who whom why will with would yes yet you "
    "your yours hello hi hey "
    # German
    "aber als am an auch auf aus bei bin bis bist bitte da dann das dass dein deine dem den der "
    "des dich die dies diese dieser dir doch du ein eine einem einen einer er es etwas für haben "
    "hast hat ich ihm ihn ihr im in ist ja kann kein keine man mein meine mich mir mit nach nicht "
    "noch nur oder ob schon sein seine sich sie sind so soll über um und uns unser von vor war "
    "warum was wenn wer werden wie wir wird wo zu zum zur "
    # French, Spanish, Italian, Portuguese
    "au aux avec ce ces cette dans de des du elle en est et eux il je la le les leur lui ma mais "
    "me mes moi mon ne nos notre nous ou où par pas pour qu que quel quelle qui sa sans ses son "
    "sur ta te tes toi ton tu un une vos votre vous como con cual cuando del donde el ella ellos "
    "era eres es esta este esto fue hay la las lo los mi muy nada o para pero por porque puede "
    "que qué quien se ser si sin sobre son soy su sus también tiene todo tú un una uno unos y ya "
    "yo che chi ci come cosa da dal della di dove e gli ha ho i il io lei lui ma mio nel non per "
    "perché più quando questo se sei si sono sua suo tra tuo um uma os as ao ela ele eu isso mas "
    "meu minha não nos ou quem seu sua".split()
)
"""Words that say nothing by themselves; a question of nothing else is asked as it is."""
