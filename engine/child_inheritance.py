"""What a child run has from its parent: the context, and the policies that the parent was started with."""

from __future__ import annotations

import json
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol

from ..checkpoints.sealing import Seal
from ..nodes.child_port import INHERITED, ChildCall
from .coping.book import CopingBook
from .inputs import Stored, serialised
from .policy_book import COPING, Policies, policies_json
from .registry import Workflow
from .runs import RunRow

__all__ = ["Inheritance"]


class Inheritance:
    """Says what the children of the runs of one engine begin with.

    Args:
        serde: The saver's serializer.
        policies: By workflow, the policies of questions that bring none.
        coping: By workflow, how runs cope with faults.
    """

    def __init__(self, serde: SerializerProtocol, policies: dict[str, Policies], coping: CopingBook) -> None:
        self._serde = serde
        self._seal = Seal(serde)
        self._policies = policies
        self._coping = coping

    def context(self, parent: RunRow, call: ChildCall) -> tuple[Stored | None, Any]:
        """Return the child's context as its row keeps it, and as its graph gets it."""
        if call.context is not INHERITED:
            kept = None if call.context is None else serialised(self._serde, call.context, what="context of a child")
            return kept, call.context
        kind, data = parent["context_type"], parent["context"]
        if kind is None:
            return None, None
        return Stored(kind, data, ""), self._serde.loads_typed((kind, data))

    def policies(self, parent: RunRow, workflow: Workflow) -> dict[str, Any]:
        """Return what the child's row keeps: the policies that its parent was started with count for it as well."""
        inherited = self._seal.open(parent["policies"]) or {}
        kept = policies_json(None, self._policies.get(workflow.name), self._coping.kept(inherited.get(COPING))) or {}
        return {**kept, "run": inherited["run"]} if "run" in inherited else kept

    def sealed(self, policies: dict[str, Any]) -> str | None:
        """Return policies as they are stored; None for none."""
        return json.dumps(self._seal.close(policies)) if policies else None
