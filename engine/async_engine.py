"""The engine: every verb that people, programs and doors use."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from ..checkpoints.sealing import Seal
from ..checkpoints.storage import open_storage
from ..settings import Settings, load_settings
from ..state.coping import Coping
from .auditing import Auditing
from .limiting import Limiting
from .looking import Looking
from .model import Principal
from .notifiers import Notifier
from .policy_book import Policies
from .rebuilding import Rebuilding
from .recorder import recording
from .registry import Registry, Target
from .remembering import Remembering
from .resuming import Resuming
from .schedule_keeping import ScheduleKeeping
from .scheduling import Scheduling
from .status import Overseeing
from .streaming import Streaming
from .sweeping import Sweeping
from .telemetry import configure_logs
from .waiting import Waiting
from .working import Working

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

__all__ = ["AsyncEngine"]


class AsyncEngine(
    Streaming,
    Resuming,
    Sweeping,
    Rebuilding,
    Looking,
    Remembering,
    Waiting,
    Overseeing,
    Limiting,
    Scheduling,
    ScheduleKeeping,
    Auditing,
    Working,
):
    """Drives workflows that stop for people and go on later; made by `AsyncEngine.open()`.

    Every verb sees only its principal's tenant; anything else is unknown to it. Every verb may raise
    StorageUnavailable. What a verb has returned is committed.
    """

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        url: str | None = None,
        *,
        workflows: Mapping[str, Target | str] | None = None,
        principal: Principal | None = None,
        settings: Settings | None = None,
        channel: str = "python",
        policies: Mapping[str, Policies] | None = None,
        coping: Mapping[str, Coping] | None = None,
        notifiers: Mapping[str, Notifier] | None = None,
        embeddings: Embeddings | None = None,
    ) -> AsyncIterator[AsyncEngine]:
        """Open an engine on a database; an async context manager.

        Args:
            url: PostgreSQL to use. Default: `ADJOURN_DATABASE_URL`, otherwise an embedded server.
            workflows: Name → graph, function that makes one, or `module:attribute`, beside those that are installed
                and those of the `langgraph.json` in the working folder.
            principal: Who acts. Default: the operating-system user, trusted, with the roles of `ADJOURN_ROLES`.
            settings: Default: from the environment.
            channel: Through which door answers come; kept with each answer.
            policies: By the name of a workflow, who may answer those of its questions that bring no policy of their own:
                one `ReviewPolicy`, or one for each action by name, with `"*"` for all others. A run keeps what stands
                here when it is started, wherever it is driven later.
            coping: By the name of a workflow, `"*"` for all others, how its runs cope with faults. It counts for the
                drives of this engine, before what `langgraph.json` and `ADJOURN_COPING` say of the same workflow. A run
                keeps what counted where it was started, for processes that were told nothing.
            notifiers: Who is told about reviews, beside those of the settings `ADJOURN_NOTIFY_…`: your own notifiers, by the
                name under which it is remembered what was sent. Give them to every engine that drives or sweeps.
            embeddings: A LangChain embedding model that finds past cases by meaning, before what `ADJOURN_EMBEDDING_MODEL`
                names.

        Raises:
            ConfigurationError: A setting or a notifier does not fit, an embedding model is set beside an encryption
                key, the embedded server's folder cannot be used, or the
                `langgraph.json` of the working folder does not say what it should.
            StorageUnavailable: The database cannot be reached or refuses us.
        """
        settings = settings or load_settings()
        configure_logs(settings)
        registry = Registry(workflows, settings.project)
        async with (
            open_storage(settings, url) as storage,
            recording(storage.pool, Seal(storage.saver.serde), settings.event_days) as recorder,
        ):
            who = principal or Principal.from_system(settings.held_roles)
            engine = cls(storage, registry, who, settings, channel, recorder, policies, coping, notifiers, embeddings)
            try:
                yield engine
            finally:
                await engine._close()
