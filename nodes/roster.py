"""Rosters from files: the agents of a council as YAML or JSON, with every mistake named by its line and key.

agents:
  - name: ada
    role: A careful security engineer.
    capabilities: [security, sql]
    accuracy: 0.9
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..errors import InvalidRoster
from ..state.roster import Agent, Roster
from .documents import DocumentKind, load_document, parse_document, validate_document

__all__ = ["MAX_BYTES", "load_roster", "read_roster"]

MAX_BYTES: Final = 1_000_000
"""The largest roster that is read."""

_ROSTER: Final = DocumentKind(
    "roster",
    Roster,
    InvalidRoster,
    shape="a mapping with the key `agents`, a list of agents",
    part=lambda place: Agent if "agents" in place else Roster,
    parts="a mapping with the keys of an agent",
    max_bytes=MAX_BYTES,
)


def load_roster(path: str | Path) -> Roster:
    """Read a roster file.

    Args:
        path: A YAML file; JSON is YAML too.

    Raises:
        InvalidRoster: The file cannot be read, is larger than 1 MB or no YAML, or does not describe agents.
    """
    return read_roster(load_document(path, _ROSTER), source=str(Path(path)))


def read_roster(text: str, *, source: str = "roster") -> Roster:
    """Read a roster.

    Args:
        text: YAML: a mapping with `agents`, a list of mappings with the keys of `Agent`.
        source: How to call it in errors.

    Raises:
        InvalidRoster: It is no YAML, or does not describe agents; the message names each line and key.
    """
    data, where = parse_document(text, _ROSTER, source)
    return validate_document(data, _ROSTER, where)
