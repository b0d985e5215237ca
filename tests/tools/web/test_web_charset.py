"""Bytes to text, whatever a server says that they are."""

from __future__ import annotations

import codecs

import pytest

from clawd.tools.web.charset import decoded

META = b'<html><head><meta http-equiv="x" content="text/html; charset=%s"></head>'


@pytest.mark.parametrize(
    ("body", "said", "text"),
    [
        ("grün".encode(), "text/html; charset=utf-8", "grün"),
        ("grün".encode(), "", "grün"),
        ("grün".encode("latin-1"), "", "grün"),
        ("“grün”".encode("cp1252"), "text/html; charset=ISO-8859-1", "“grün”"),
        ("“x”".encode("cp1252"), 'text/html; charset="us-ascii"', "“x”"),
        ("привет".encode("koi8-r"), "text/html; charset=KOI8-R", "привет"),
        ("привет".encode("cp1251"), "text/html;charset=windows-1251", "привет"),
        ("日本語".encode("shift_jis"), "text/html; charset=Shift_JIS", "日本語"),
        ("日本語".encode("euc-jp"), "text/html; charset=euc-jp", "日本語"),
        ("中文".encode("gbk"), "text/html; charset=gb2312", "中文"),
        ("ไทย".encode("cp874"), "text/html; charset=windows-874", "ไทย"),
        (codecs.BOM_UTF8 + "grün".encode(), "text/html; charset=latin1", "grün"),
        (codecs.BOM_UTF16_LE + "grün".encode("utf-16-le"), "", "grün"),
        (codecs.BOM_UTF16_BE + "grün".encode("utf-16-be"), "", "grün"),
        (b"half \xc3", "text/html; charset=utf-8", "half \ufffd"),
        (b"grun", "text/html; charset=idna", "grun"),
        (b"grun", "text/html; charset=punycode", "grun"),
        (b"a+AGE-", "text/html; charset=utf-7", "a+AGE-"),
        (b"\\x41", "text/html; charset=unicode_escape", "\\x41"),
        (b"grun", "text/html; charset=no-such-thing", "grun"),
        (b"grun", "text/html; charset=" + "x" * 9000, "grun"),
        (b"a\r\nb\rc\nd", "", "a\nb\nc\nd"),
        ("a\0b\x1bc\u202ed\ufeffe\U000e0041f\x85g".encode(), "", "abcdefg"),
        ("👩‍👩‍👧 नमस्ते".encode(), "", "👩‍👩‍👧 नमस्ते"),
    ],
)
def test_text_is_read_in_its_character_set(body: bytes, said: str, text: str) -> None:
    """The mark at its beginning counts first, then the header; controls are left out."""
    assert decoded(body, said) == text


@pytest.mark.parametrize(
    ("charset", "codec"),
    [(b"windows-1251", "cp1251"), (b"utf-16", "utf-8"), (b"rot13", "utf-8")],
)
def test_a_page_may_name_its_character_set(charset: bytes, codec: str) -> None:
    """In its head, where no header did; what it cannot have been read with is not believed."""
    body = META % charset + "привет".encode(codec)
    assert decoded(body, "text/html").endswith("привет")
