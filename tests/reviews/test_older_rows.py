"""Reviews and answers of a database from before policies survive, and are decided as they were."""

import pytest
from pydantic import SecretStr

from adjourn import AsyncEngine, ReviewClosed, approve, reject
from adjourn.checkpoints.migrate import migrate, migrations
from adjourn.settings import load_settings
from support.postgres import execute, fresh_database
from support.workflows import asking

# what a run with an open and one with an answered question left behind, in the columns of that time
BACK = """
drop table adjourn.reviews, adjourn.decisions;
alter table adjourn.runs drop column policies;
delete from adjourn.migrations where number = 7
"""
OLD_REVIEWS = (
    "insert into adjourn.reviews (thread_id, review_id, status, checkpoint_ns, checkpoint_id, task_id, question_type,"
    " question, created_at, closed_at) select thread_id, review_id, status, checkpoint_ns, checkpoint_id, task_id,"
    " question_type, question, created_at, closed_at from kept_reviews"
)
OLD_DECISIONS = (
    "insert into adjourn.decisions (thread_id, review_id, decided_by, source, channel, answer_type, answer,"
    " answer_digest, decided_at, consumed_at) select thread_id, review_id, decided_by, source, channel, answer_type,"
    " answer, answer_digest, decided_at, consumed_at from kept_decisions"
)


async def test_rows_from_before_policies_are_migrated(server: str) -> None:
    with fresh_database(server) as url:
        settings = load_settings()
        async with AsyncEngine.open(url, workflows={"asking": asking}) as engine:
            waiting = await engine.start("asking", {"name": "x"})
            answered = await engine.start("asking", {"name": "y"})
            await engine.resume(answered.thread_id, approve(), by="dana")
        execute(url, "create table kept_reviews as table adjourn.reviews")
        execute(url, "create table kept_decisions as table adjourn.decisions", *BACK.split(";"))
        older = [each for each in migrations() if each.number < 7]
        third = next(each for each in older if each.number == 3)
        execute(url, third.text, OLD_REVIEWS, OLD_DECISIONS)
        await migrate(SecretStr(url), settings)

        async with AsyncEngine.open(url, workflows={"asking": asking}) as engine:
            (review,) = await engine.reviews()
            assert (review.thread_id, review.missing, review.votes) == (waiting.thread_id, 1, ())
            assert review.digest == waiting.reviews[0].digest  # worked out from the question
            (closed,) = await engine.reviews("decided")
            assert [(vote.by, vote.kind, vote.counts) for vote in closed.votes] == [("dana", "approve", True)]
            with pytest.raises(ReviewClosed, match="answered by dana"):
                await engine.resume(answered.thread_id, reject(), review_id=closed.id)
            assert (await engine.resume(answered.thread_id, approve(), by="dana")).status == "completed"
            assert (await engine.resume(waiting.thread_id, approve())).status == "completed"
