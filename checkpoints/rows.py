"""From what LangGraph hands to a saver to the rows that are stored: pure functions, no I/O, no clock.

A `Call` is one `put` or `put_writes`; a `Batch` is what the calls of many threads come to when they are stored at once.
The rows are those of LangGraph's own PostgreSQL saver, so that either saver reads what the other wrote.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.types import ERROR, _DeltaSnapshot

from ..errors import InvalidInput
from .sealing import Seal

__all__ = ["Batch", "BlobRow", "Call", "CheckpointRow", "Put", "Write", "WriteRow", "merge", "put_call", "writes_call"]

# What a row weighs beside its payload, for the bounds of the backlog; a rough figure is enough.
_ROW_BYTES = 200


class CheckpointRow(NamedTuple):
    """A row of `checkpoints`; the two documents are JSON text."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    parent_checkpoint_id: str | None
    checkpoint: bytes
    metadata: bytes


class BlobRow(NamedTuple):
    """A row of `checkpoint_blobs`: one value of one channel in one version."""

    thread_id: str
    checkpoint_ns: str
    channel: str
    version: str
    type: str
    blob: bytes


class WriteRow(NamedTuple):
    """A row of `checkpoint_writes`: what a task wrote to a channel."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    task_id: str
    task_path: str
    idx: int
    channel: str
    type: str
    blob: bytes


class Put(NamedTuple):
    """A checkpoint that is being stored, as hooks see it. Read the objects, never change them.

    `token` is the lease under which its caller stores it, if there is one; the commit may still refuse it.
    """

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    parent_checkpoint_id: str | None
    checkpoint: Checkpoint
    metadata: CheckpointMetadata
    token: int | None = None


class Write(NamedTuple):
    """One write of a task that is being stored, as hooks see it. Read the value, never change it.

    `token` is as in `Put`.
    """

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    task_id: str
    task_path: str
    idx: int
    channel: str
    value: Any
    token: int | None = None


@dataclass(slots=True)
class Call:
    """One `put` or `put_writes`, ready to be stored.

    Args:
        thread_id: Whose rows these are.
        base: The checkpoint that this builds on: the parent of a checkpoint (None for a thread's first), the
            checkpoint that writes belong to.
        checkpoints: None or one.
        blobs: The channel values that came with the checkpoint.
        writes: The writes of one task.
        overwrites: Whether these writes replace stored ones of the same key (LangGraph's rule for questions, answers,
            errors), or give way to them.
        puts: The checkpoint once more, for hooks.
        given: The writes once more, for hooks.
        size: About how many bytes this is, in memory and on the way.
        token: The lease under which it is stored; see `fence.py`.
    """

    thread_id: str
    base: str | None
    checkpoints: list[CheckpointRow] = field(default_factory=list)
    blobs: list[BlobRow] = field(default_factory=list)
    writes: list[WriteRow] = field(default_factory=list)
    overwrites: bool = False
    puts: list[Put] = field(default_factory=list)
    given: list[Write] = field(default_factory=list)
    size: int = 0
    token: int | None = None


class Batch(NamedTuple):
    """The rows of many calls, each key once, each with the position of the call that brought it.

    What `kept` and `replaced` hold are writes: those that give way to a stored one, and those that replace it.
    """

    checkpoints: list[tuple[int, CheckpointRow]]
    blobs: list[tuple[int, BlobRow]]
    kept: list[tuple[int, WriteRow]]
    replaced: list[tuple[int, WriteRow]]


def put_call(
    serde: SerializerProtocol,
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    new_versions: ChannelVersions,
    *,
    inline: bool,
) -> Call:
    """Turn a `put` into rows.

    Args:
        serde: Serialises channel values.
        config: Names thread and namespace, and the parent checkpoint.
        checkpoint: The checkpoint.
        metadata: Its metadata.
        new_versions: The channels that changed, with their new versions.
        inline: Whether plain numbers, booleans and texts are stored in the checkpoint's own row, as LangGraph does.
            Without it every value goes through the serialiser (which encrypts).

    Raises:
        InvalidInput: A value has no serial form, or is of a type that is not allowed.
    """
    names = config["configurable"]
    thread_id, checkpoint_ns = str(names["thread_id"]), names["checkpoint_ns"]
    parent, checkpoint_id = names.get("checkpoint_id"), checkpoint["id"]
    document, values = _split(checkpoint, inline=inline)
    versions = new_versions if inline else _with_inlined(checkpoint, new_versions)
    blobs = [
        BlobRow(thread_id, checkpoint_ns, channel, str(version), *_serial(serde, channel, values[channel]))
        for channel, version in versions.items()
        if channel in values
    ]
    stored = get_serializable_checkpoint_metadata(config, metadata)
    kept = stored if inline else Seal(serde).close_metadata(stored, metadata)
    row = CheckpointRow(thread_id, checkpoint_ns, checkpoint_id, parent, _json(document), _json(kept))
    return Call(
        thread_id,
        parent,
        checkpoints=[row],
        blobs=blobs,
        puts=[Put(thread_id, checkpoint_ns, checkpoint_id, parent, checkpoint, stored)],
        size=_ROW_BYTES * (1 + len(blobs)) + len(row.checkpoint) + len(row.metadata) + _payload(blobs),
    )


def writes_call(
    serde: SerializerProtocol,
    config: RunnableConfig,
    writes: Sequence[tuple[str, Any]],
    task_id: str,
    task_path: str,
) -> Call:
    """Turn a `put_writes` into rows.

    Args:
        serde: Serialises the values.
        config: Names thread, namespace and checkpoint.
        writes: Channel and value of each.
        task_id: Who wrote them.
        task_path: Where the task stands in its step; orders the writes when they are read.

    Raises:
        InvalidInput: A value has no serial form, or is of a type that is not allowed.
    """
    names = config["configurable"]
    thread_id, checkpoint_ns, checkpoint_id = str(names["thread_id"]), names["checkpoint_ns"], names["checkpoint_id"]
    rows, given = [], []
    for position, (channel, value) in enumerate(writes):
        idx = WRITES_IDX_MAP.get(channel, position)
        key = (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel)
        rows.append(WriteRow(*key, *_serial(serde, channel, value)))
        given.append(Write(*key, value))
    return Call(
        thread_id,
        checkpoint_id,
        writes=rows,
        overwrites=all(channel in WRITES_IDX_MAP for channel, _ in writes),
        given=given,
        size=_ROW_BYTES * (1 + len(rows)) + _payload(rows),
    )


def merge(calls: Iterable[Call]) -> Batch:
    """Return the rows of calls with each key once: what LangGraph's saver would leave after storing them in order.

    Of a checkpoint the last documents and the first parent count; of a blob the first. A write that overwrites
    replaces what came before it and keeps its task path; any other gives way to what came before it.

    Args:
        calls: In the order of their arrival, as far as they concern one thread.
    """
    checkpoints: dict[tuple[str, ...], tuple[int, CheckpointRow]] = {}
    blobs: dict[tuple[str, ...], tuple[int, BlobRow]] = {}
    writes: dict[tuple[str | int, ...], tuple[int, WriteRow, bool]] = {}
    for position, call in enumerate(calls):
        for checkpoint in call.checkpoints:
            _merge_checkpoint(checkpoints, position, checkpoint)
        for blob in call.blobs:
            blobs.setdefault(blob[:4], (position, blob))
        for write in call.writes:
            _merge_write(writes, position, write, call.overwrites)
    return Batch(
        list(checkpoints.values()),
        list(blobs.values()),
        [(position, write) for position, write, overwrites in writes.values() if not overwrites],
        [(position, write) for position, write, overwrites in writes.values() if overwrites],
    )


def _merge_checkpoint(
    rows: dict[tuple[str, ...], tuple[int, CheckpointRow]], position: int, row: CheckpointRow
) -> None:
    key = row[:3]
    if key in rows:
        position, first = rows[key]
        row = row._replace(parent_checkpoint_id=first.parent_checkpoint_id)
    rows[key] = (position, row)


def _merge_write(
    rows: dict[tuple[str | int, ...], tuple[int, WriteRow, bool]], position: int, row: WriteRow, overwrites: bool
) -> None:
    key = (*row[:4], row.idx)
    if key not in rows:
        rows[key] = (position, row, overwrites)
    elif overwrites:
        position, first, _ = rows[key]
        rows[key] = (position, row._replace(task_path=first.task_path), True)


def _serial(serde: SerializerProtocol, channel: str, value: Any) -> tuple[str, bytes]:
    try:
        return serde.dumps_typed(value)
    except (InvalidInput, TypeError) as error:
        if channel == ERROR:
            # That a node failed must be known whatever its error carries.
            return serde.dumps_typed(repr(value))
        raise InvalidInput(f"The channel {channel!r} cannot be stored: {error}") from error


def _split(checkpoint: Checkpoint, *, inline: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the document of a checkpoint's row, and the values that go to blobs."""
    in_row: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for channel, value in checkpoint["channel_values"].items():
        if isinstance(value, _DeltaSnapshot):
            # LangGraph's marker: "the value of this channel starts anew here; see its blob".
            in_row[channel] = True
            values[channel] = value
        elif value is None or (inline and _fits_json(value)):
            in_row[channel] = value
        else:
            values[channel] = value
    return {**checkpoint, "channel_values": in_row}, values


def _with_inlined(checkpoint: Checkpoint, new_versions: ChannelVersions) -> ChannelVersions:
    """Return the new versions and those of every value that LangGraph would inline.

    An unchanged value of that kind may stand in the parent's row alone, written before encryption was switched on.
    """
    values = checkpoint["channel_values"]
    return {
        channel: version
        for channel, version in checkpoint["channel_versions"].items()
        if channel in new_versions or isinstance(values.get(channel), str | int | float)
    }


def _fits_json(value: Any) -> bool:
    """Say whether LangGraph would inline a value and PostgreSQL's JSON can hold it (no zero bytes, no infinity)."""
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int)


def _json(document: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError:
        # orjson refuses integers beyond 64 bits, and lone surrogates; the standard library knows both.
        import json

        return json.dumps(document).encode()


def _payload(rows: Sequence[BlobRow] | Sequence[WriteRow]) -> int:
    return sum(len(row.blob) for row in rows)
