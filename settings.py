"""Every setting of adjourn, in one place; nothing else reads or writes the environment.

Settings come from arguments, from variables that start with `ADJOURN_`, and from nothing else.
Secrets are masked wherever settings are shown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .errors import ConfigurationError

__all__ = [
    "PREFIX",
    "Settings",
    "child_environment",
    "current_settings",
    "default_home",
    "export_environment",
    "load_settings",
    "preferred_editor",
    "using_settings",
]

PREFIX = "ADJOURN_"

# As root the embedded PostgreSQL runs under another user, which must be able to walk to its data; nobody's
# private folder is opened for that, so root's data lives in a folder that is meant to be walked through.
ROOT_HOME = Path("/var/lib/adjourn")


def default_home() -> Path:
    """Return the folder that holds the embedded server's data when `ADJOURN_HOME` is not set."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return ROOT_HOME
    return platformdirs.user_data_path("adjourn", appauthor=False)


def _from_json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError('it is no JSON; write it like {"name": …}') from None


class Settings(BaseSettings):
    """What can be set, its default and its unit. Each field is the variable `ADJOURN_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    database_url: Annotated[
        SecretStr | None,
        Field(description="PostgreSQL 14 or newer to use. Unset: an embedded PostgreSQL is started."),
    ] = None
    listen_url: Annotated[
        SecretStr | None,
        Field(
            description="Direct connection for LISTEN and migrations, when `ADJOURN_DATABASE_URL` is a transaction pooler."
        ),
    ] = None
    home: Annotated[Path, Field(default_factory=default_home, description="Folder of the embedded PostgreSQL's data.")]
    project: Annotated[
        Path, Field(description="Folder whose `langgraph.json` names workflows; by default the working folder.")
    ] = Path()
    model: Annotated[
        str | None,
        Field(description="Chat model as LangChain names it, such as `openai:gpt-5-mini`. Unset: rules are used."),
    ] = None
    embedding_model: Annotated[
        str | None,
        Field(
            description="Embedding model that finds past cases by meaning, such as `openai:text-embedding-3-small`; needs "
            "pgvector. Unset: they are found by their words."
        ),
    ] = None
    clear_vectors: Annotated[
        bool,
        Field(description="Allow vectors of past cases, which cannot be encrypted, beside `ADJOURN_ENCRYPTION_KEY`."),
    ] = False
    case_language: Annotated[
        str, Field(description="Whose word endings are cut off when past cases are searched, or `none`.")
    ] = "english"
    case_days: Annotated[
        int | None, Field(gt=0, description="Days that past cases are kept. Unset: until they are erased or forgotten.")
    ] = None
    council_roster: Annotated[
        Path | None,
        Field(
            description="Roster file (YAML or JSON) of the workflow `council`. Unset: an analyst, a sceptic, an advocate."
        ),
    ] = None
    pool_size: Annotated[int, Field(ge=1, le=1000, description="Most connections that one process holds.")] = 10
    acquire_timeout: Annotated[float, Field(gt=0, description="Seconds to wait for a free or fresh connection.")] = 10.0
    prepare_threshold: Annotated[
        int | None,
        Field(ge=0, description="Executions before a statement is prepared. `null` for transaction poolers."),
    ] = 5
    lease_seconds: Annotated[
        float,
        Field(gt=0, description="Seconds after which a run whose driver is silent may be taken over."),
    ] = 30.0
    cancel_grace_seconds: Annotated[
        float,
        Field(ge=0, description="Seconds that a cancelled run has to reach its next step before it is stopped."),
    ] = 10.0
    drain_seconds: Annotated[
        float,
        Field(ge=0, description="Seconds that a worker which is told to stop gives its runs to reach their next step."),
    ] = 25.0
    storage_patience: Annotated[
        float, Field(ge=0, description="Seconds to wait for a database that restarts or fails over.")
    ] = 30.0
    encryption_key: Annotated[
        SecretStr | None,
        Field(description="Keys (32 bytes, base64; newest first, commas between) that encrypt stored values."),
    ] = None
    audit_key: Annotated[
        SecretStr | None,
        Field(
            description="Key (16 characters or more) that signs anchors and exports of the audit. Keep it elsewhere."
        ),
    ] = None
    max_input_bytes: Annotated[int, Field(gt=0, description="Largest input of a run, in bytes of JSON.")] = 10_000_000
    max_child_depth: Annotated[
        int, Field(gt=0, description="How deep child runs may start child runs, below the first run.")
    ] = 16
    roles: Annotated[
        str | None,
        Field(description="Roles that you hold when you act as the operating-system user; commas between."),
    ] = None
    event_days: Annotated[int, Field(ge=0, description="Days that the events of an ended run are kept.")] = 7
    notify_log: Annotated[
        bool, Field(description="Write a line to the log (level info) whenever people are asked, reminded and so on.")
    ] = False
    notify_content: Annotated[
        bool,
        Field(description="Say in notices, in one line, what is asked. Otherwise they only say where to look."),
    ] = False
    notify_webhook_url: Annotated[
        SecretStr | None, Field(description="Where notices are posted as JSON (Standard Webhooks). Unset: nowhere.")
    ] = None
    notify_webhook_secret: Annotated[
        SecretStr | None,
        Field(description="Keys (`whsec_` and base64; newest first, commas between) that sign what is posted."),
    ] = None
    notify_smtp_url: Annotated[
        SecretStr | None,
        Field(description="Mail server for notices: `smtp://user:password@host:587`, or `smtps://…`. Unset: no mail."),
    ] = None
    notify_mail_from: Annotated[
        str | None, Field(description="Sender of the mails, such as `adjourn <adjourn@example.org>`.")
    ] = None
    notify_mail_to: Annotated[
        dict[str, tuple[str, ...]],
        NoDecode,
        BeforeValidator(_from_json),
        Field(description='Addresses by role, as JSON: `{"legal": ["dana@example.org"]}`. Role `*`: every notice.'),
    ] = {}
    coping: Annotated[
        dict[str, Any],
        NoDecode,
        BeforeValidator(_from_json),
        Field(description='How workflows cope with faults, as JSON: `{"review": {"retry": {"attempts": 4}}}`.'),
    ] = {}
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least severe log line that is kept.")
    ] = "warning"
    log_format: Annotated[
        Literal["console", "json"], Field(description="How log lines are written to standard error.")
    ] = "console"

    @property
    def held_roles(self) -> frozenset[str]:
        """The names in `roles`."""
        return frozenset(name for part in (self.roles or "").split(",") if (name := part.strip()))


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment.

    Args:
        **overrides: Fields that are given directly and win over the environment; `None` counts as not given.

    Returns:
        The settings, frozen.

    Raises:
        ConfigurationError: A value does not fit; the message names the variable.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = str(first["loc"][0]).upper()
        raise ConfigurationError(f"ADJOURN_{name} is not usable: {first['msg']}. Correct or unset it.") from None


def child_environment(forced: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child process: this one's, with changes.

    Args:
        forced: Variables that are set in it.
        defaults: Variables that are set in it unless they are set here.
    """
    return {**(defaults or {}), **os.environ, **forced}


def export_environment(values: Mapping[str, str]) -> list[str]:
    """Set environment variables for this process, as the `env` of a `langgraph.json` asks for.

    A variable that is set stays as it is. Variables of adjourn itself are left out: settings are read before any
    project is, so they would have no effect here.

    Args:
        values: The variables.

    Returns:
        The names of adjourn's variables that were left out.
    """
    for name, value in values.items():
        if not name.startswith(PREFIX):
            os.environ.setdefault(name, value)
    return sorted(name for name in values if name.startswith(PREFIX) and os.environ.get(name) != values[name])


def preferred_editor() -> str:
    """Return the editor that the person at this terminal prefers, as a command line: VISUAL, EDITOR, otherwise vi."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"


_current: ContextVar[Settings | None] = ContextVar("adjourn_settings", default=None)


@contextmanager
def using_settings(settings: Settings) -> Iterator[None]:
    """Make settings the current ones for everything that runs inside, nodes included."""
    token = _current.set(settings)
    try:
        yield
    finally:
        _current.reset(token)


def current_settings() -> Settings:
    """Return the settings of the engine that drives the calling node; outside of one, those of the environment."""
    return _current.get() or load_settings()
