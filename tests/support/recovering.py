"""What a killed recovery leaves behind, made by hand."""

from adjourn import AsyncEngine
from adjourn.engine.recovery import Attempt, RecoveryStore, next_attempt


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
