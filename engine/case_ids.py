"""The ids of cases: the same whenever the same node of the same run comes there, so that it leaves its case once.

An id is made of the run, the node, and the kind and key of the case. With an encryption key it is a keyed hash
(HMAC-SHA256), so that nobody who only reads the database can confirm a key that they guess. Ids from before there was a key,
and those of older keys, stay as they are: a case that was left under one of them is not left again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from ..state.cases import NewCase
from ..state.values import canonical_json

__all__ = ["CaseIds"]

_LETTERS: Final = 32


class CaseIds:
    """Makes the ids of cases.

    Args:
        keys: The encryption keys, the newest first; none for plain digests.
    """

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = [hmac.digest(key, b"adjourn: ids of cases", "sha256") for key in keys]

    def of(self, thread_id: str, node: str, case: NewCase) -> list[str]:
        """Return the id of a case, and behind it those that it may have from an older key or from before there was one.

        Args:
            thread_id: The run.
            node: The node's name, with those of the graphs around it.
            case: The case; its kind and key count.
        """
        place = canonical_json([thread_id, node, case.kind, case.key]).encode()
        digests = [hmac.digest(key, place, "sha256") for key in self._keys] + [hashlib.sha256(place).digest()]
        return [digest.hex()[:_LETTERS] for digest in digests]
