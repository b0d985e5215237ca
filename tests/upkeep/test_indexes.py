"""``clawd fsck`` and the indexes of notes: damage is named, and costs nothing."""

from __future__ import annotations

from pathlib import Path

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel
from clawd.upkeep.fsck import verify


async def test_an_index_is_verified_and_mended(tmp_path: Path) -> None:
    """Sound after a stop and after a kill; a damaged one is removed with ``--repair`` alone."""
    index = tmp_path / "state/memory/a.sqlite"
    async with ScriptedModel() as model:
        write_config(tmp_path, scripted(model.url, "a"))
        async with RunningDaemon(tmp_path) as daemon:
            await daemon.tool("a", "memory_save", text="the heron sleeps")
            assert not [f for f in verify(tmp_path).files if f.what == "index"], "it is in use"
            await daemon.kill()
            left = sorted(path.name for path in index.parent.iterdir())
            assert "a.sqlite-wal" in left
            assert verify(tmp_path).clean
            assert sorted(path.name for path in index.parent.iterdir()) == left
            await daemon.start()
            await daemon.stop()
            assert verify(tmp_path).clean
            for path in index.parent.iterdir():
                path.write_bytes(b"garbage" * 1000)
            report = verify(tmp_path)
            assert [(f.what, f.owner) for f in report.files if f.findings] == [("index", "a")]
            assert not report.clean
            assert index.exists()
            assert verify(tmp_path, repair=True).clean
            assert not index.exists()
            await daemon.start()
            assert len((await daemon.tool("a", "memory_search", query="heron"))["notes"]) == 1
