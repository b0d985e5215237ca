"""The keys that seal content at rest: one seals, all of them open."""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import importlib.util
import os
import re
from collections.abc import Iterable
from typing import Protocol

from clawd.errors import Invalid, StorageError
from clawd.secrets import Secret

KEY_BYTES = 32
EXTRA = "pip install 'clawd-daemon[encrypt]'"
_VERSION = "1"
_NONCE_BYTES = 12
_MODULE = "cryptography.hazmat.primitives.ciphers.aead"
_SEAL = re.compile(r"1\.([0-9a-f]{8})\.([A-Za-z0-9+/]+=*)")


class KeyMissing(StorageError):
    """What is to be sealed or opened needs a key that is not there; nothing was changed."""


class _Cipher(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, about: bytes) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, about: bytes) -> bytes: ...


class Keyring:
    """Seals and opens with AES-256-GCM. A seal names its key and fits one record alone."""

    def __init__(self) -> None:
        self._ciphers: dict[str, _Cipher] = {}
        self._problem = "no key is configured"
        self.current = ""
        """The id of the key that seals, "" when there is none."""

    def take(self, key: Secret | None, old: Iterable[Secret], problem: str = "") -> None:
        """Seal with ``key`` and open with all, from now on; ``problem`` says why there is none.

        ``Invalid`` for what is no such key, or when the library is missing; then nothing changed.
        """
        keys = [*([key] if key else []), *old]
        cipher = _library() if keys else None
        ciphers = {key_id(each): cipher(key_bytes(each)) for each in keys if cipher is not None}
        self._ciphers = ciphers
        self.current = key_id(key) if key else ""
        self._problem = problem or "no key is configured"

    def check(self) -> None:
        """``KeyMissing`` when there is no key to seal with."""
        if not self.current:
            raise KeyMissing(
                "key_missing",
                f"its content is to be sealed, and {self._problem}",
                hint="see encryption.key in docs/configuration.md; clawd keys new makes one",
            )

    def seal(self, data: bytes, about: bytes) -> str:
        """The data sealed for the record that ``about`` names; ``KeyMissing`` without a key."""
        self.check()
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._ciphers[self.current].encrypt(nonce, data, about)
        return f"{_VERSION}.{self.current}.{base64.b64encode(sealed).decode()}"

    def opened(self, seal: str, about: bytes) -> bytes:
        """What was sealed for this record.

        ``KeyMissing`` when its key is not there, ``ValueError`` when the seal is broken or was
        made for another record.
        """
        found = _SEAL.fullmatch(seal)
        if found is None:
            raise ValueError("has a seal that cannot be read")
        cipher = self._ciphers.get(found[1])
        if cipher is None:
            raise KeyMissing(
                "key_missing",
                f"its content is sealed with key {found[1]}, which is not there",
                hint="put that key back as encryption.key or into encryption.oldKeys",
                key=found[1],
            )
        sealed = base64.b64decode(found[2])
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about)
        except Exception as failure:
            if type(failure).__name__ != "InvalidTag" and not isinstance(failure, ValueError):
                raise
            raise ValueError("has a broken seal, or that of another record") from None


def key_of(seal: str) -> str:
    """The id of the key that made a seal."""
    return seal.split(".")[1] if seal.count(".") == 2 else ""


def key_bytes(key: Secret) -> bytes:
    """The 32 bytes of a key as ``clawd keys new`` writes it, or in hexadecimal; ``Invalid``."""
    text = key.reveal()
    try:
        if len(text) == 2 * KEY_BYTES:
            return bytes.fromhex(text)
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        data = b""
    if len(data) != KEY_BYTES:
        raise Invalid(
            "key_unusable",
            f"is no key: {KEY_BYTES} random bytes are needed, in base64",
            hint="Run: clawd keys new",
        )
    return data


def key_id(key: Secret) -> str:
    """What a seal calls its key: eight characters that say nothing of the key itself."""
    return hashlib.sha256(b"clawd key id" + key_bytes(key)).hexdigest()[:8]


def available() -> bool:
    """Whether the library that seals is installed."""
    return importlib.util.find_spec("cryptography") is not None


def _library() -> type:
    try:
        # Half of clawd's users never seal anything: it is no part of the base installation.
        cipher: type = importlib.import_module(_MODULE).AESGCM
    except ImportError:
        raise Invalid(
            "library_missing", "the library 'cryptography' is not installed", hint=f"Run: {EXTRA}"
        ) from None
    return cipher
