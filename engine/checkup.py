"""Whether everything that adjourn needs is there: each check says what it found, and how to mend it.

Nothing is changed: no table is made, no data folder. An embedded server that has data is started as for any command.
"""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final, Literal

from packaging.requirements import Requirement
from pydantic import SecretStr

from ..checkpoints.embedded import acquire
from ..checkpoints.encryption import cipher
from ..checkpoints.inspection import Found, inspect_database, inspect_home
from ..errors import AdjournError
from ..nodes.analysts import check_model
from ..settings import Settings
from .case_words import Words
from .describe import describe_all
from .embedding import embedder_of, open_embeddings
from .langgraph_json import FILE, read_project
from .project_code import missing_packages
from .registry import Registry

__all__ = ["Check", "checkup"]

State = Literal["ok", "warning", "problem"]

_OLDEST_PYTHON: Final = (3, 11)
_SHOWN: Final = ("langgraph", "langgraph-checkpoint-postgres", "langchain", "psycopg")


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found.

    Args:
        name: What was looked at.
        state: `ok`, `warning` (it works, but look at it) or `problem` (something will not work).
        found: What was found; no secrets.
        mend: What to do about it; None where nothing need be done, or where `found` says it.
    """

    name: str
    state: State
    found: str
    mend: str | None = None


def checkup(settings: Settings, url: str | None = None) -> Iterator[Check]:
    """Look at everything, one check after the other. Blocking; no check makes it fail.

    Args:
        settings: The settings.
        url: A database that wins over that of the settings.
    """
    given = SecretStr(url) if url else settings.database_url
    checks: list[tuple[str, Callable[[], Check | Awaitable[Check]]]] = [
        ("Python", _python),
        ("packages", _packages),
        ("database", (lambda: _database(given, settings)) if given else (lambda: _embedded(settings))),
        ("encryption", lambda: _encryption(settings)),
        ("model", lambda: _model(settings)),
        ("past cases", lambda: _cases(settings)),
        (FILE, lambda: _project(settings.project)),
    ]
    if settings.listen_url is not None:
        listen = settings.listen_url
        checks.insert(3, ("listening", lambda: _listening(listen, settings)))
    for name, check in checks:
        yield _safely(name, check)
    yield from _workflows(settings.project)


def _safely(name: str, check: Callable[[], Check | Awaitable[Check]]) -> Check:
    try:
        found = check()
        return found if isinstance(found, Check) else asyncio.run(_awaited(found))
    except AdjournError as error:
        return Check(name, "problem", error.message)
    except Exception as error:  # noqa: BLE001  (a check that fails says so; the others go on)
        return Check(name, "problem", f"could not be looked at: {type(error).__name__}: {error}")


async def _awaited(found: Awaitable[Check]) -> Check:
    return await found


def _python() -> Check:
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return Check("Python", "problem", found, "Use Python 3.11 or newer.")
    return Check("Python", "ok", found)


def _packages() -> Check:
    from .. import __version__

    wrong = [str(each) for each in _required() if not _fits(each)]
    found = ", ".join([f"adjourn {__version__}", *(f"{name} {_version(name)}" for name in _SHOWN)])
    if wrong:
        named = " ".join(f"'{each}'" for each in wrong)
        return Check("packages", "problem", f"{found}; {len(wrong)} do not fit", f"Install: pip install {named}")
    return Check("packages", "ok", found)


def _required() -> list[Requirement]:
    try:
        needed = [Requirement(each) for each in requires("adjourn") or ()]
    except PackageNotFoundError:  # a source tree that was put on the path
        return []
    return [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]


def _fits(needed: Requirement) -> bool:
    try:
        return needed.specifier.contains(version(needed.name), prereleases=True)
    except PackageNotFoundError:
        return False


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(missing)"


async def _database(url: SecretStr, settings: Settings) -> Check:
    return _judged("database", "PostgreSQL", await inspect_database(url, settings), settings)


async def _embedded(settings: Settings) -> Check:
    data = await asyncio.to_thread(inspect_home, settings.home)
    if data is None:
        return Check("database", "ok", f"embedded PostgreSQL; the first run makes its data in {settings.home}")
    server = await asyncio.to_thread(acquire, settings.home)
    try:
        return _judged("database", "embedded PostgreSQL", await inspect_database(server.url, settings), settings)
    finally:
        await asyncio.to_thread(server.release)


def _judged(name: str, kind: str, found: Found, settings: Settings) -> Check:
    said = f"{kind} {found.version}, database {found.database}, role {found.role}"
    if found.read_only:
        return Check(name, "problem", f"{said}: it only reads (a standby?)", "Connect to the primary.")
    if found.refused:
        return Check(name, "problem", f"{said}: {found.refused}")
    if found.closed_tables:
        closed, role = ", ".join(found.closed_tables), found.role
        mend = (
            f"As their owner run: GRANT USAGE ON SCHEMA adjourn TO {role}; "
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {closed} TO {role}; "
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA adjourn TO {role};"
        )
        return Check(name, "problem", f"{said}: no right to {len(found.closed_tables)} of the tables", mend)
    if settings.embedding_model is not None and not found.vectors:
        mend = "Have a superuser run `CREATE EXTENSION vector;` in it, or unset ADJOURN_EMBEDDING_MODEL."
        return Check(name, "problem", f"{said}: the extension pgvector is not installed", mend)
    if found.missing:
        return Check(name, "ok", f"{said}; its tables are made or brought up to date by the next run")
    return Check(name, "ok", f"{said}; tables up to date")


async def _listening(url: SecretStr, settings: Settings) -> Check:
    found = await inspect_database(url, settings)
    return Check("listening", "ok", f"ADJOURN_LISTEN_URL: PostgreSQL {found.version}, database {found.database}")


def _encryption(settings: Settings) -> Check:
    if cipher(settings.encryption_key) is None:
        return Check("encryption", "ok", "off: ADJOURN_ENCRYPTION_KEY is not set")
    return Check("encryption", "ok", "on: new values are encrypted")


def _model(settings: Settings) -> Check:
    if settings.model is None:
        return Check("model", "ok", "ADJOURN_MODEL is not set: built-in workflows use rules")
    check_model(settings.model)
    return Check("model", "ok", f"{settings.model}: package and key are there (nothing was sent)")


def _cases(settings: Settings) -> Check:
    Words(settings.case_language)
    embedder_of(settings, None)
    if settings.embedding_model is None:
        return Check("past cases", "ok", "ADJOURN_EMBEDDING_MODEL is not set: they are found by their words")
    open_embeddings(settings.embedding_model)
    return Check("past cases", "ok", f"{settings.embedding_model}: package and key are there (nothing was sent)")


def _project(folder: Path) -> Check:
    project = read_project(folder)
    if project is None:
        return Check(FILE, "ok", f"none in {folder.absolute()}")
    found = f"{project.file}: {', '.join(project.graphs) or 'no graphs'}"
    if missing := missing_packages(project):
        named = " ".join(f"'{each}'" for each in missing)
        return Check(FILE, "problem", f"{found}; dependencies are missing", f"Install them: pip install {named}")
    if isinstance(project.env, str) and not (project.folder / project.env).is_file():
        return Check(FILE, "warning", f"{found}; its env file {project.env} is not there", "Make it, or export them.")
    return Check(FILE, "ok", found)


def _workflows(folder: Path) -> Iterator[Check]:
    try:
        found = describe_all(Registry(folder=folder))
    except AdjournError:  # what is wrong with langgraph.json was said above
        return
    loaded = [each.workflow.name for each in found if each.problem is None]
    yield Check("workflows", "ok", f"{len(loaded)} of {len(found)} load: {', '.join(loaded)}")
    for each in found:
        if each.problem is not None:
            yield Check(f"workflow {each.workflow.name}", "problem", each.problem)
