"""The end of a run is taken from the last checkpoint that its own drive stored, and from no other."""

from typing import Any

from langgraph.checkpoint.base import empty_checkpoint

from adjourn.checkpoints.rows import Put
from adjourn.checkpoints.serde import serializer
from adjourn.engine.leases import Drive
from adjourn.engine.witness import Witness


def put(token: int | None, *, namespace: str = "", **values: Any) -> Put:
    checkpoint = empty_checkpoint() | {"channel_values": values, "channel_versions": {"__start__": "1"}}
    return Put("t", namespace, checkpoint["id"], None, checkpoint, {}, token)


def test_the_last_checkpoint_of_the_drive_is_its_end_and_takes_it_along() -> None:
    drive = Drive("t", 7)
    witness = Witness(serializer(), lambda _: drive, lambda: 1)
    with witness.watching("t"):
        assert witness.hook([put(7, **{"branch:to:next": None})], []) == []
        assert not witness.is_over("t"), "something is left to do"
        assert not drive.ending
        (added,) = witness.hook([put(7, answer=1)], [])
        assert drive.ending, "the lease is given back with this commit"
        assert witness.is_over("t")
        seen = witness.end("t")
        assert seen is not None
        assert seen.checkpoint["channel_values"] == {"answer": 1}
        assert witness.recorded("t") is None, "it is not stored yet"
        assert added.stored is not None
        added.stored([{"of_thread": "t", "thread_id": "t"}, {"of_thread": "other", "thread_id": "other"}])
        assert witness.recorded("t") == {"of_thread": "t", "thread_id": "t"}
    assert not witness.is_over("t"), "the drive is over"


def test_what_an_earlier_drive_stores_late_is_not_its_end() -> None:
    witness = Witness(serializer(), lambda _: Drive("t", 7), lambda: 1)
    with witness.watching("t"):
        for late in (put(6, answer=1), put(None, answer=1), put(7, namespace="child:1", answer=1)):
            assert witness.hook([late], []) == []
        assert not witness.is_over("t")


def test_values_of_a_type_of_the_workflows_own_are_read_instead() -> None:
    witness = Witness(serializer(), lambda _: Drive("t", 7), lambda: 1)
    with witness.watching("t"):
        assert witness.hook([put(7, answer=Drive("u", 1))], [])
        assert witness.is_over("t")
        assert witness.end("t") is None


def test_a_thread_that_nobody_drives_here_is_not_watched() -> None:
    witness = Witness(serializer(), lambda _: None, lambda: 1)
    assert witness.hook([put(7, answer=1)], []) == []
    assert not witness.is_over("t")


def test_what_a_drive_stores_after_it_was_watched_is_forgotten() -> None:
    """A process that drives millions of runs would keep the last checkpoint of each."""
    witness = Witness(serializer(), lambda _: Drive("t", 7), lambda: 1)
    with witness.watching("t"):
        pass
    witness.hook([put(7, answer=1)], [])
    assert witness.end("t") is None


def test_a_drive_begins_without_the_end_that_an_older_one_saw() -> None:
    witness = Witness(serializer(), lambda _: Drive("t", 7), lambda: 1)
    with witness.watching("t"):
        witness.hook([put(7, answer=1)], [])
        with witness.watching("t"):
            assert witness.end("t") is None
