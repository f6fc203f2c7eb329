"""Which policy counts while a run is driven, and that nothing is known of it afterwards."""

import asyncio

import pytest

from adjourn import AsyncEngine, LeaseLost, Principal, ReviewPolicy, approve
from adjourn.checkpoints.sealing import Seal
from adjourn.checkpoints.serde import serializer
from adjourn.engine.policy_book import PolicyBook, policies_json
from support.eventually import eventually
from support.reaching import texts_within

LEGAL, LEAD, ANYBODY = ReviewPolicy(roles=("legal",)), ReviewPolicy(roles=("lead",)), ReviewPolicy()


@pytest.fixture
def book() -> PolicyBook:
    return PolicyBook(Seal(serializer()))


def test_the_policy_of_a_run_is_known_while_its_drive_lasts(book: PolicyBook) -> None:
    with book.learned("t", 1, policies_json(LEGAL, None)), book.learned("u", 2, None):
        assert book.policy("t", 1, "Well?") == LEGAL
        assert book.policy("u", 2, "Well?") == ANYBODY


def test_what_a_drive_asks_after_its_end_is_refused_and_never_asked_under_a_weaker_policy(book: PolicyBook) -> None:
    with book.learned("t", 1, policies_json(LEGAL, None)):
        pass
    with pytest.raises(LeaseLost, match="the lease 1 is over"):
        book.policy("t", 1, "Well?")


def test_an_older_drive_that_ends_late_takes_nothing_from_a_newer_one(book: PolicyBook) -> None:
    kept = policies_json(LEGAL, None)
    older = book.learned("t", 1, kept)
    older.__enter__()
    with book.learned("t", 2, kept):
        older.__exit__(None, None, None)
        assert book.policy("t", 2, "Well?") == LEGAL


def test_without_a_lease_nothing_is_known_of_a_run(book: PolicyBook) -> None:
    with book.learned("t", 1, policies_json(LEGAL, None)):
        assert book.policy("t", None, "Well?") == ANYBODY


async def test_an_engine_forgets_the_runs_that_it_drove(engine: AsyncEngine) -> None:
    """A process that drives millions of runs must not grow: nothing of an engine leads to one that has left it.

    Of those that wait the newest few hundred are kept in mind, for their answers.
    """
    threads = {f"run {number} of many" for number in range(30)}
    await asyncio.gather(*(engine.start("asking", {"name": "x"}, thread_id=each, policies=LEAD) for each in threads))
    lee = Principal("lee", frozenset({"lead"}))
    await asyncio.gather(*(engine.resume(each, approve(), by=lee) for each in sorted(threads)[:20]))
    await asyncio.gather(*(engine.cancel(each, reason="enough") for each in sorted(threads)[20:25]))
    waiting = set(sorted(threads)[25:])
    # what is still to be written for followers goes in a moment
    assert await eventually(lambda: len((texts_within(vars(engine)) & threads) - waiting) <= 2)
