"""Who is told: whom the settings name, and the notifiers that a program brings."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Iterator, Mapping

import httpx
from langgraph.checkpoint.serde.base import SerializerProtocol

from ..checkpoints.pool import Pool
from ..errors import ConfigurationError
from ..settings import Settings
from ..state.values import json_problem
from .mail import MailNotifier, MailServer, address_of
from .notifications import Notifications
from .notifiers import LogNotifier, Notifier, Receiver
from .reviews import ReviewStore
from .webhook import WebhookNotifier, signing_keys

__all__ = ["EVERY_ROLE", "notifications_of", "receivers_of"]

EVERY_ROLE = "*"
_LOG, _WEBHOOK, _MAIL = "log", "webhook", "mail:"


def receivers_of(settings: Settings) -> tuple[Receiver, ...]:
    """Return the receivers that the settings name, each with a notifier; none by default.

    Raises:
        ConfigurationError: A setting is not usable, or another one that it needs is missing.
    """
    return (*_log(settings), *_webhook(settings), *_mail(settings))


def notifications_of(
    settings: Settings, pool: Pool, serde: SerializerProtocol, notifiers: Mapping[str, Notifier] | None = None
) -> Notifications:
    """Return what tells the receivers that the settings name, and those that a program brings.

    Args:
        settings: The settings.
        pool: Connections.
        serde: Reads questions.
        notifiers: A program's own, by the name under which it is remembered what was sent.

    Raises:
        ConfigurationError: As `receivers_of`; or a notifier of the program is none, or has a name that is taken.
    """
    receivers = (*receivers_of(settings), *_own(notifiers or {}))
    reviews = ReviewStore(pool, serde)
    content, patience = settings.notify_content, settings.storage_patience
    return Notifications(pool, serde, receivers, reviews, content=content, patience=patience)


def _own(notifiers: Mapping[str, Notifier]) -> Iterator[Receiver]:
    for name, notifier in notifiers.items():
        if name in (_LOG, _WEBHOOK) or name.startswith(_MAIL) or not name or json_problem(name):
            raise ConfigurationError(
                f"A notifier cannot be called {name!r}: {_LOG!r}, {_WEBHOOK!r} and what begins with {_MAIL!r} are adjourn's "
                "own names. Give it another, and keep it: under it is remembered what was sent."
            )
        if not inspect.iscoroutinefunction(getattr(notifier, "notify", None)):
            raise ConfigurationError(
                f"The notifier {name!r} is a {type(notifier).__name__}; it must have a method "
                "`async def notify(self, notice)`."
            )
        yield Receiver(name, notifier)


def _log(settings: Settings) -> Iterator[Receiver]:
    if settings.notify_log:
        yield Receiver(_LOG, LogNotifier())


def _webhook(settings: Settings) -> Iterator[Receiver]:
    url, secret = settings.notify_webhook_url, settings.notify_webhook_secret
    if url is None:
        return
    if not _is_web_address(url.get_secret_value()):
        raise ConfigurationError(
            "ADJOURN_NOTIFY_WEBHOOK_URL is not usable: it has the form https://host/path (or http://), without a user: "
            "the signature says who posts."
        )
    if secret is None:
        raise ConfigurationError(
            "ADJOURN_NOTIFY_WEBHOOK_URL needs ADJOURN_NOTIFY_WEBHOOK_SECRET, so that the receiver can tell who posts. "
            'Make one with: echo "whsec_$(openssl rand -base64 32)"'
        )
    yield Receiver(_WEBHOOK, WebhookNotifier(url, signing_keys(secret)))


def _is_web_address(text: str) -> bool:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("https", "http") and bool(url.host) and not url.userinfo


def _mail(settings: Settings) -> Iterator[Receiver]:
    if settings.notify_smtp_url is None:
        return
    if settings.notify_mail_from is None or not settings.notify_mail_to:
        raise ConfigurationError(
            "ADJOURN_NOTIFY_SMTP_URL needs ADJOURN_NOTIFY_MAIL_FROM (a sender) and ADJOURN_NOTIFY_MAIL_TO (addresses by "
            'role, such as {"legal": ["dana@example.org"]}).'
        )
    server = MailServer.from_url(settings.notify_smtp_url)
    sender = address_of(settings.notify_mail_from, "ADJOURN_NOTIFY_MAIL_FROM")
    tls = ssl.create_default_context()  # the authorities of a machine are many, so they are read once
    for given, roles in _roles_by_address(settings).items():
        to = address_of(given, "ADJOURN_NOTIFY_MAIL_TO")
        yield Receiver(f"{_MAIL}{to.addr_spec}", MailNotifier(server, sender, to, tls=tls), roles)


def _roles_by_address(settings: Settings) -> dict[str, frozenset[str] | None]:
    """Return the roles of each address; None for one that gets everything. One address gets one mail for an event."""
    found: dict[str, frozenset[str] | None] = {}
    for role, addresses in settings.notify_mail_to.items():
        for address in addresses:
            known = found.get(address, frozenset())
            found[address] = None if role == EVERY_ROLE or known is None else known | {role}
    return found
