"""`tools.load`: what is found, what is refused in one sentence, what a change of a file does."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawd.agent.workbench import Place, Workbench
from clawd.config.schema import SessionSettings
from clawd.errors import ClawdError, Invalid, TimedOut
from clawd.events import Event, Notice
from clawd.lineage import begin
from clawd.tools.own import loading, threads
from clawd.tools.own.loading import Loading
from clawd.tools.own.reference import bound
from clawd.tools.own.toolkit import OwnTools

GOOD = '''
from clawd.tools import Answer, Workbench, progress, tool

@tool
def forecast(city: str, days: int = 1) -> dict:
    """The weather of a city.

    Args:
        city: where
        days: for how many days
    """
    progress(f"looking at {city}")
    return {"city": city, "days": days}

class Notes:
    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    @tool(seconds=5)
    async def whoami(self) -> str:
        """Say whose this is."""
        return self.bench.session

@tool()
async def broken() -> str:
    """Divide by zero."""
    return str(1 / 0)

ALL = [forecast, broken]
EMPTY = []
NUMBER = 7
def plain(): ...
class Bare: ...
class Wants:
    def __init__(self, a, b): ...
    @tool
    def x(self) -> str:
        """X."""
'''
HEAD = "from clawd.tools import tool\n@tool\n"
BROKEN = {
    "ownx_syntax": ("def f(:\n", "SyntaxError: invalid syntax (ownx_syntax.py:1)"),
    "ownx_missing": ("\nimport nowhere_at_all\n", "nowhere_at_all' (ownx_missing.py:2)"),
    "ownx_raises": ("raise ValueError('no')\n", "ValueError: no (ownx_raises.py:1)"),
    "ownx_exits": ("import sys\nsys.exit(3)\n", "SystemExit: 3 (ownx_exits.py:2)"),
    "ownx_untyped": (HEAD + "def f(a):\n '''X.\n\n Args:\n     a: b\n '''\n", "write a: str"),
    "ownx_undescribed": (HEAD + "def f(a: str):\n '''X.'''\n", "has no description under Args:"),
    "ownx_silent": (HEAD + "def f():\n pass\n", "no docstring"),
    "ownx_starred": (HEAD + "def f(*a: str):\n '''X.'''\n", "no *a"),
    "ownx_name": (HEAD + "def größe():\n '''X.'''\n", "a name of 64 letters"),
}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home with a folder `tools`; what was imported from it is forgotten."""
    path, modules = list(sys.path), set(sys.modules)
    (tmp_path / "tools").mkdir()
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("ownx"):
            del sys.modules[name]


def write(home: Path, name: str, text: str) -> None:
    """A module of the operator's, saved as an editor does."""
    new = home / "tools" / f".{name}.new"
    new.write_text(text, encoding="utf-8")
    new.replace(home / "tools" / f"{name}.py")


def bench(home: Path, *load: str) -> Workbench:
    """A caller whose settings name these."""
    settings = SessionSettings.model_validate({"id": "s", "tools": {"load": list(load)}})
    return Workbench("s", home, settings, begin("operator"))


class Kit:
    """The group of tools, its notices, and the names that are taken."""

    def __init__(self, home: Path) -> None:
        self.events: list[Event] = []
        self.own = OwnTools(home, self.events.append, lambda _: {})

    def told(self) -> list[str]:
        """What the operator was told."""
        return [event.text for event in self.events if isinstance(event, Notice)]


@pytest.fixture
async def kit(home: Path) -> Kit:
    """The toolkit on a home."""
    return Kit(home)


async def test_functions_classes_and_lists_become_tools(home: Path, kit: Kit) -> None:
    """The same decorator: a schema of the signature, answers of whatever is returned."""
    write(home, "ownx_good", GOOD)
    caller = bench(home, "ownx_good:ALL", "ownx_good:Notes")
    await kit.own.prepare(caller)
    tools = kit.own.tools(caller)
    assert sorted(tools) == ["broken", "forecast", "whoami"]
    assert tools["forecast"].declaration.parameters["required"] == ["city"]
    assert (await tools["forecast"].call({"city": "Bern"})).facts == {"city": "Bern", "days": 1}
    assert (await tools["whoami"].call({})).text == "s"
    with pytest.raises(Invalid, match="days: "):
        await tools["forecast"].call({"city": "Bern", "days": "two"})
    with pytest.raises(ClawdError, match=r"broken: ZeroDivisionError: .* \(ownx_good.py:\d+\)"):
        await tools["broken"].call({})
    assert not kit.told()


@pytest.mark.parametrize("name", BROKEN)
async def test_what_cannot_be_imported_is_one_sentence(home: Path, kit: Kit, name: str) -> None:
    """B: module, line and mend; told once, and the other tools are there."""
    text, said = BROKEN[name]
    write(home, name, text)
    write(home, "ownx_good", GOOD)
    caller = bench(home, f"{name}:f", "ownx_good:forecast")
    for _ in range(2):
        await kit.own.prepare(caller)
    (told,) = kit.told()
    assert said in told
    assert f"'{name}:f'" in told
    assert list(kit.own.tools(caller)) == ["forecast"]
    assert kit.own.problems("s") == [told]


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("ownx_gone:f", "put ownx_gone.py into"),
        ("ownx_good.sub:f", "there is no module ownx_good.sub"),
        ("ownx_good:forcast", "did you mean ownx_good:forecast?"),
        ("ownx_good:plain", "write @tool above it"),
        ("ownx_good:Bare", "no method with @tool"),
        ("ownx_good:Wants", "is made with a, b"),
        ("ownx_good:EMPTY", "EMPTY is empty"),
        ("ownx_good:NUMBER", "name a function, a class or a list"),
        ("json:loads", "json is another module"),
    ],
)
async def test_a_reference_to_nothing_names_the_mend(
    home: Path, kit: Kit, reference: str, said: str
) -> None:
    """Each wrong reference is one sentence, and the daemon goes on."""
    write(home, "ownx_good", GOOD)
    write(home, "json", "")
    await kit.own.prepare(bench(home, reference))
    (told,) = kit.told()
    assert said in told


async def test_a_saved_file_is_in_the_next_turn_and_a_broken_one_changes_nothing(
    home: Path, kit: Kit
) -> None:
    """Edit, save, ask again; the version before goes on while the new one cannot be imported."""
    text = f'{HEAD}def f() -> str:\n """X."""\n return "NUMBER"\n'
    caller = bench(home, "ownx_edited:f")

    async def now() -> str:
        await kit.own.prepare(caller)
        return (await kit.own.tools(caller)["f"].call({})).text

    write(home, "ownx_edited", text.replace("NUMBER", "1"))
    assert await now() == "1"
    held = kit.own.tools(caller)["f"]
    write(home, "ownx_edited", text.replace("NUMBER", "2"))
    assert await now() == "2"
    assert (await held.call({})).text == "1"
    write(home, "ownx_edited", "def f(:")
    assert await now() == "2"
    assert "the version before it goes on" in kit.told()[-1]
    write(home, "ownx_edited", text.replace("NUMBER", "3"))
    assert await now() == "3"
    assert kit.own.problems("s") == []


async def test_an_import_that_hangs_holds_up_nobody(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for some seconds, told, and taken when it has ended after all."""
    monkeypatch.setattr(loading, "SECONDS", 0.05)
    readable, writable = os.pipe()
    write(home, "ownx_slow", f"import os\nos.read({readable}, 1)\n" + GOOD)
    load = Loading(home)
    await load.ensure(["ownx_slow:forecast"])
    assert "takes longer than" in load.get("ownx_slow:forecast").problem
    os.write(writable, b".")
    monkeypatch.setattr(loading, "SECONDS", 20.0)
    await load._imports["ownx_slow:forecast"]
    await load.ensure(["ownx_slow:forecast"])
    assert list(bound(load.get("ownx_slow:forecast").targets, bench(home))) == ["forecast"]
    os.close(readable)
    os.close(writable)


async def test_a_function_that_is_no_coroutine_holds_up_nobody(home: Path, kit: Kit) -> None:
    """It runs in a thread of its own; past its time the call ends, the thread by itself."""
    write(
        home,
        "ownx_waits",
        "import threading\nGO = threading.Event()\nfrom clawd.tools import tool\n"
        '@tool(seconds=0.05)\ndef waits() -> str:\n """Wait."""\n GO.wait(30)\n return ""\n',
    )
    caller = bench(home, "ownx_waits:waits")
    await kit.own.prepare(caller)
    with pytest.raises(TimedOut):
        await kit.own.tools(caller)["waits"].call({})
    assert any(thread.name == "waits" for thread in threading.enumerate())
    sys.modules["ownx_waits"].GO.set()
    for thread in threading.enumerate():
        if thread.name == "waits":
            thread.join(10)


async def test_there_is_a_bound_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call past it is refused, with the mend; an ended thread makes room."""
    monkeypatch.setattr(threads, "_running", threading.BoundedSemaphore(1))
    go = threading.Event()
    first = threads.start_thread("first", lambda: go.wait(20))
    with pytest.raises(ClawdError, match="have not ended"):
        threads.start_thread("second", lambda: None)
    go.set()
    assert await first
    assert await threads.in_thread("third", lambda: 3) == 3


async def test_names_of_clawds_own_tools_and_double_ones_are_said(home: Path) -> None:
    """Clawd's own win; of two of the operator's, the first."""
    write(home, "ownx_good", GOOD)
    other = bound([], bench(home))
    events: list[Event] = []
    kit = OwnTools(home, events.append, lambda _: other)
    caller = bench(home, "ownx_good:forecast", "ownx_good:ALL")
    await kit.settle([Place(caller.settings, home)])
    write(home, "ownx_other", GOOD)
    elsewhere = OwnTools(home, events.append, lambda _: {})
    theirs = bench(home, "ownx_other:forecast")
    await elsewhere.prepare(theirs)
    other |= elsewhere.tools(theirs)
    await kit.settle([Place(caller.settings, home)])
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any("there is another forecast" in text for text in told)
    assert any("forecast is a tool of clawd's own" in text for text in told)
