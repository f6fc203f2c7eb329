"""What time does to the leases of killed processes, and what a killed recovery leaves behind: both done by hand."""

from adjourn import AsyncEngine
from adjourn.engine.recovery import Attempt, RecoveryStore, next_attempt
from support.postgres import execute


def leases_run_out(database: str) -> None:
    """Let all leases run out now; whoever holds one must have been killed, or stopped."""
    execute(database, "update adjourn.leases set expires_at = clock_timestamp() where expires_at > clock_timestamp()")


async def attempt_and_die(engine: AsyncEngine, thread_id: str) -> bool:
    """Leave behind what a recovery leaves that is killed: an attempt, and a lease that has run out."""
    store = RecoveryStore(engine._storage.pool)
    for found in await store.stalled("default", 1):
        claimed = await engine._runs.claim(thread_id, "default", ("running",))
        plan = next_attempt(found, "somebody")
        assert claimed is not None
        assert isinstance(plan, Attempt)
        await store.note(thread_id, plan)
        await engine._runs.release(thread_id, claimed["token"])
        return True
    return False
