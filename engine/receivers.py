"""Who is told, from the settings."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx
from langgraph.checkpoint.serde.base import SerializerProtocol

from ..checkpoints.pool import Pool
from ..errors import ConfigurationError
from ..settings import Settings
from .mail import MailNotifier, MailServer, address_of
from .notifications import Notifications
from .notifiers import LogNotifier, Receiver
from .reviews import ReviewStore
from .webhook import WebhookNotifier, signing_keys

__all__ = ["EVERY_ROLE", "notifications_of", "receivers_of"]

EVERY_ROLE = "*"


def receivers_of(settings: Settings) -> tuple[Receiver, ...]:
    """Return the receivers that the settings name, each with a notifier; none by default.

    Raises:
        ConfigurationError: A setting is not usable, or another one that it needs is missing.
    """
    return (*_log(settings), *_webhook(settings), *_mail(settings))


def notifications_of(settings: Settings, pool: Pool, serde: SerializerProtocol) -> Notifications:
    """Return what tells the receivers that the settings name.

    Args:
        settings: The settings.
        pool: Connections.
        serde: Reads questions.

    Raises:
        ConfigurationError: As `receivers_of`.
    """
    reviews = ReviewStore(pool, serde)
    content, patience = settings.notify_content, settings.storage_patience
    return Notifications(pool, serde, receivers_of(settings), reviews, content=content, patience=patience)


def _log(settings: Settings) -> Iterator[Receiver]:
    if settings.notify_log:
        yield Receiver("log", LogNotifier())


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
    yield Receiver("webhook", WebhookNotifier(url, signing_keys(secret)))


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
        yield Receiver(f"mail:{to.addr_spec}", MailNotifier(server, sender, to, tls=tls), roles)


def _roles_by_address(settings: Settings) -> dict[str, frozenset[str] | None]:
    """Return the roles of each address; None for one that gets everything. One address gets one mail for an event."""
    found: dict[str, frozenset[str] | None] = {}
    for role, addresses in settings.notify_mail_to.items():
        for address in addresses:
            known = found.get(address, frozenset())
            found[address] = None if role == EVERY_ROLE or known is None else known | {role}
    return found
