"""Encryption of what is stored: AES-256 in Galois/Counter Mode (NIST SP 800-38D), so that changes are noticed as well.

The name of the key that was used, the start of its SHA-256, stands in the type of each value. That makes rotation
simple: put the new key first, keep the old ones behind it until nothing refers to them.

One key may encrypt about four billion values (2^32, the bound of SP 800-38D for random 96-bit nonces); rotate before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import Final

from pydantic import SecretStr

from ..errors import ConfigurationError

__all__ = ["Cipher", "cipher", "read_keys"]

_PREFIX: Final = "aes256gcm-"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_MAKE_ONE: Final = "python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'"


class Cipher:
    """Encrypts with the first key and decrypts with any; LangGraph's `CipherProtocol`.

    Args:
        keys: 32 bytes each, the newest first.

    Raises:
        ConfigurationError: The package `cryptography` is not installed.
    """

    def __init__(self, keys: list[bytes]) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise ConfigurationError(
                "ADJOURN_ENCRYPTION_KEY is set, but the package that encrypts is missing. "
                "Run `pip install 'adjourn[encryption]'`."
            ) from None
        self._ciphers = {_PREFIX + hashlib.sha256(key).hexdigest()[:8]: AESGCM(key) for key in keys}
        self._name = next(iter(self._ciphers))

    def __repr__(self) -> str:
        return f"Cipher({', '.join(self._ciphers)})"

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        """Encrypt a value; return the name of cipher and key, and nonce and ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._name, nonce + self._ciphers[self._name].encrypt(nonce, plaintext, None)

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        """Decrypt a value.

        Raises:
            ConfigurationError: Its key is not among ours, or the value was changed since it was written.
        """
        from cryptography.exceptions import InvalidTag

        if ciphername not in self._ciphers:
            raise ConfigurationError(
                f"A stored value was encrypted with the key {ciphername}; ADJOURN_ENCRYPTION_KEY holds "
                f"{', '.join(self._ciphers)}. Add the missing key behind the newest, separated by a comma."
            )
        try:
            return self._ciphers[ciphername].decrypt(ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:], None)
        except InvalidTag:
            raise ConfigurationError(
                f"A stored value that was encrypted with the key {ciphername} has been changed or damaged since. "
                "Restore the database from a backup."
            ) from None


def cipher(keys: SecretStr | None) -> Cipher | None:
    """Make the cipher that the settings ask for.

    Args:
        keys: One or more keys of 32 bytes in base64, the newest first, separated by commas; None for no encryption.

    Raises:
        ConfigurationError: A key is not 32 bytes in base64, or the package that encrypts is missing.
    """
    read = read_keys(keys)
    return Cipher(read) if read else None


def read_keys(keys: SecretStr | None) -> list[bytes]:
    """Return the keys of the setting, the newest first; none where it is not set.

    Raises:
        ConfigurationError: A key is not 32 bytes in base64.
    """
    return [] if keys is None else [_key(text.strip()) for text in keys.get_secret_value().split(",")]


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(
            f"ADJOURN_ENCRYPTION_KEY must hold keys of 32 bytes in base64, separated by commas. Make one: {_MAKE_ONE}"
        )
    return key
