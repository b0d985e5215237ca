"""What a file holds, told by how it begins."""

from __future__ import annotations

import codecs

LOOKED_AT = 8192
"""Bytes at the beginning of a file that say whether it is text."""
_MAX_FAULTY = 0.3
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF8", "GIF image"),
    (b"%PDF-", "PDF document"),
    (b"PK\x03\x04", "ZIP archive, or a document in one"),
    (b"\x1f\x8b", "gzip data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"\x28\xb5\x2f\xfd", "Zstandard data"),
    (b"7z\xbc\xaf", "7-Zip archive"),
    (b"\x7fELF", "ELF program"),
    (b"\xcf\xfa\xed\xfe", "Mach-O program"),
    (b"SQLite format 3\0", "SQLite database"),
    (b"OggS", "Ogg media"),
    (b"ID3", "MP3 audio"),
    (b"fLaC", "FLAC audio"),
    (b"RIFF", "RIFF media"),
    (b"\0asm", "WebAssembly"),
    (codecs.BOM_UTF16_LE, "UTF-16 text"),
    (codecs.BOM_UTF16_BE, "UTF-16 text"),
)


def binary_kind(head: bytes) -> str:
    """What kind of binary data begins like this; "" for text."""
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning) and (b"\0" in head or _faulty(head)):
            return kind
    if head[4:8] == b"ftyp":
        return "MP4 media"
    return "data" if b"\0" in head or _faulty(head) else ""


def _faulty(head: bytes) -> bool:
    """Whether a good part of it is no UTF-8."""
    return head.decode(errors="replace").count("\ufffd") > len(head) * _MAX_FAULTY
