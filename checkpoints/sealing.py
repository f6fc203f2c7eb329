"""Encryption of what stands in columns of JSON and text: error texts, events, and what callers add to metadata.

Channel values, questions, answers and results go through the saver's serializer, which encrypts them where there is a
key. Columns of JSON and text can be read with any tool; with a key their content is put through the same serializer,
and the column holds the ciphertext and the name of its key instead.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from ..errors import ConfigurationError

__all__ = ["Seal"]

_SEALED: Final = "adjourn.sealed"


class Seal:
    """Encrypts JSON values where the saver encrypts, and leaves them as they are where it does not.

    Values from before there was a key are read as they stand; old keys still read, as in the saver.

    Args:
        serde: The saver's serializer.
    """

    def __init__(self, serde: SerializerProtocol) -> None:
        self._serde = serde
        self._encrypts = isinstance(serde, EncryptedSerializer)

    def close(self, value: Any) -> Any:
        """Return what a column of JSON keeps of a value.

        Args:
            value: JSON-safe.
        """
        if value is None or not self._encrypts:
            return value
        kind, data = self._serde.dumps_typed(value)
        return {_SEALED: [kind, base64.b64encode(data).decode()]}

    def open(self, kept: Any) -> Any:
        """Return the value that a column of JSON keeps.

        Raises:
            ConfigurationError: It was encrypted with a key that is not among ours, or changed since.
        """
        if not isinstance(kept, dict) or kept.keys() != {_SEALED}:
            return kept
        if not self._encrypts:
            raise ConfigurationError(
                "A stored value was encrypted; set ADJOURN_ENCRYPTION_KEY to the key that it was written with."
            )
        kind, data = kept[_SEALED]
        return self._serde.loads_typed((kind, base64.b64decode(data)))

    def close_text(self, text: str | None) -> str | None:
        """Return what a column of text keeps of a text."""
        if text is None or not self._encrypts:
            return text
        return json.dumps(self.close(text))

    def open_text(self, kept: str | None) -> str | None:
        """Return the text that a column of text keeps; raises like `open`."""
        if kept is None or not kept.startswith(f'{{"{_SEALED}"'):
            return kept
        text: str = self.open(json.loads(kept))
        return text

    def close_metadata(self, metadata: Mapping[str, Any], clear: Collection[str]) -> Mapping[str, Any]:
        """Return what is kept of a checkpoint's metadata: what a caller's configuration added is encrypted, ids are not.

        LangGraph copies every plain value of a configuration into the metadata, the context of graphs without a
        `context_schema` included. Encrypted entries cannot be filtered by.

        Args:
            metadata: The metadata.
            clear: Names of entries that stay as they are: LangGraph's own.
        """
        if not self._encrypts:
            return metadata
        hidden = {name: value for name, value in metadata.items() if not (name in clear or _is_id(name))}
        if not hidden:
            return metadata
        return {**{name: metadata[name] for name in metadata if name not in hidden}, **self.close(hidden)}

    def open_metadata(self, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the metadata that is kept; raises like `open`."""
        if _SEALED not in kept:
            return kept
        shown = {name: value for name, value in kept.items() if name != _SEALED}
        return {**shown, **self.open({_SEALED: kept[_SEALED]})}


def _is_id(name: str) -> bool:
    return name.endswith("_id") or name.startswith("langgraph_")
