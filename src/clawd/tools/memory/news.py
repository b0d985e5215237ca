"""What the system tells of changes in folders, asked for when somebody wants to know.

Linux queues a notice with every change, before the call that made it returns: whoever reads the
queue knows all that has happened so far, without looking at a single file. Elsewhere there is no
such queue, and the folder has to be looked at.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import threading

_HEAD = struct.Struct("iIII")
_READ_BYTES = 64 * 1024
_WANTED = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
"""Modified, attributes, written, moved, created, deleted, and the folder itself gone."""
_FOLDER_GONE = 0x400 | 0x800
_OVERFLOW, _IGNORED, _ONLY_FOLDERS = 0x4000, 0x8000, 0x0100_0000


class FolderNews:
    """Watches folders; a watch is a number. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[int, set[str] | None] = {}
        self._system = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._queue = -1
        if self._system is not None:
            self._queue = int(self._system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch(self, folder: int) -> int:
        """Watch the folder open at this descriptor; -1 when the system cannot."""
        with self._lock:
            if self._queue < 0 or self._system is None:
                return -1
            path = f"/proc/self/fd/{folder}".encode()
            number = int(
                self._system.inotify_add_watch(
                    self._queue, path, ctypes.c_uint32(_WANTED | _ONLY_FOLDERS)
                )
            )
            if number >= 0:
                # What happened before is not known.
                self._names[number] = None
            return number

    def forget(self, watch: int) -> None:
        """Watch a folder no more."""
        with self._lock:
            if self._names.pop(watch, ()) != () and self._system is not None:
                self._system.inotify_rm_watch(self._queue, watch)

    def changed(self, watch: int) -> set[str] | None:
        """The names that were touched since the last time; ``None``: any of them may have been."""
        with self._lock:
            if watch not in self._names:
                return None
            self._drain()
            if watch not in self._names:
                return None
            names, self._names[watch] = self._names[watch], set()
            return names

    def close(self) -> None:
        """End every watch."""
        with self._lock:
            self._names.clear()
            if self._queue >= 0:
                os.close(self._queue)
            self._queue = -1

    def _drain(self) -> None:
        while True:
            try:
                data = os.read(self._queue, _READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                self._names = dict.fromkeys(self._names)
                return
            at = 0
            while at + _HEAD.size <= len(data):
                watch, mask, _, length = _HEAD.unpack_from(data, at)
                name = data[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0")
                at += _HEAD.size + length
                self._take(watch, mask, os.fsdecode(name))

    def _take(self, watch: int, mask: int, name: str) -> None:
        if mask & _OVERFLOW:
            self._names = dict.fromkeys(self._names)
        elif mask & _IGNORED:
            self._names.pop(watch, None)
        elif mask & _FOLDER_GONE and not name:
            if watch in self._names:
                self._names[watch] = None
        elif name and (names := self._names.get(watch)) is not None:
            names.add(name)
