"""Notices by e-mail: one plain-text message for one address, over SMTP with the standard library's client.

The message id is made from the event's id. A message that is sent again, because a process died before it could write
down that it was sent, has the same id, and most mail programs show it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import getaddresses
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from ..errors import ConfigurationError
from .notices import Notice, in_short, subject, text
from .notifiers import NotDelivered

__all__ = ["MailNotifier", "MailServer", "address_of", "mail_of"]

_ADDRESS: Final = re.compile(r"[^\s@<>(),;:\\\"]+@[^\s@<>(),;:\\\"]+")
# scheme → how the connection is secured, and the usual port
_SCHEMES: Final[dict[str, tuple[Literal["starttls", "tls", "none"], int]]] = {
    "smtp": ("starttls", 587),
    "smtps": ("tls", 465),
    "smtp+plain": ("none", 25),
}
_POLICY: Final = SMTP.clone(cte_type="7bit")  # not every server takes eight bits
_SECONDS: Final = 10.0
# Threads of their own: a mail server that hangs must not take those in which plain nodes run.
_THREADS: Final = ThreadPoolExecutor(4, thread_name_prefix="adjourn-mail")


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server and how to speak to it.

    Args:
        host: Its name.
        port: Its port.
        security: `starttls` (demanded, never only tried), `tls` from the first byte, or `none`.
        user: Whom to log in as; None: nobody.
        password: The password; None: none.
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None = None
    password: SecretStr | None = None

    @classmethod
    def from_url(cls, url: SecretStr) -> MailServer:
        """Read `smtp://user:password@host:port`; also `smtps://`, and `smtp+plain://` for a relay without TLS.

        Raises:
            ConfigurationError: It is no such URL, or it would send a password in clear.
        """
        problem = "ADJOURN_NOTIFY_SMTP_URL is not usable: "
        try:
            parts = urlsplit(url.get_secret_value())
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host is None or parts.scheme not in _SCHEMES:
            raise ConfigurationError(
                f"{problem}it has the form smtp://user:password@host:port (STARTTLS), smtps://… (TLS) or "
                "smtp+plain://host (neither, no password). Write %40 for an @ in a user's name or password."
            )
        security, usual = _SCHEMES[parts.scheme]
        if parts.username and security == "none":
            raise ConfigurationError(f"{problem}smtp+plain:// would send the password in clear; use smtp://.")
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        if not f"{user}{password}".isascii():
            raise ConfigurationError(
                f"{problem}the user and the password must be ASCII, for the client that sends them."
            )
        return cls(host, port or usual, security, user, SecretStr(password) if password else None)


def address_of(given: str, setting: str) -> Address:
    """Read `name@host` or `Somebody <name@host>`.

    Raises:
        ConfigurationError: It is neither; the message names the setting.
    """
    found = getaddresses([given])
    name, address = found[0] if len(found) == 1 else ("", "")
    if not given.isprintable() or not _ADDRESS.fullmatch(address):
        raise ConfigurationError(f"{setting} is not usable: {given!r} is no e-mail address such as dana@example.org.")
    return Address(name, addr_spec=address)


def mail_of(notice: Notice, sender: Address, to: Address) -> EmailMessage:
    """Return the message for one address. Its headers are single lines, whatever stands in the notice."""
    message = EmailMessage(policy=_POLICY)
    message["Subject"] = subject(notice)
    message["From"] = sender
    message["To"] = to
    message["Date"] = notice.at
    message["Message-ID"] = f"<{notice.event_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # asks holiday answers to keep quiet
    message.set_content(text(notice))
    return message


@dataclass(frozen=True, slots=True)
class MailNotifier:
    """Sends notices to one address. It tries once; what fails is left to the next sweep.

    Args:
        server: Through which server.
        sender: From whom.
        to: To whom.
        seconds: How long the server may take for each of its answers.
        tls: For STARTTLS and TLS; default: the system's authorities.
    """

    server: MailServer
    sender: Address
    to: Address
    seconds: float = _SECONDS
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    async def notify(self, notice: Notice) -> None:
        """Send one notice; see `Notifier`. It runs in a thread, which a cancelled caller does not stop."""
        message = mail_of(notice, self.sender, self.to)
        await asyncio.get_running_loop().run_in_executor(_THREADS, self._send, message)

    def _send(self, message: EmailMessage) -> None:
        try:
            connection = self._connect()
            try:
                self._log_in(connection)
                connection.send_message(message)
                # The server has the message now; that it parts badly must not send it again.
                with contextlib.suppress(smtplib.SMTPException):
                    connection.quit()
            finally:
                connection.close()
        except (smtplib.SMTPException, OSError) as error:
            raise _failure(error) from None

    def _connect(self) -> smtplib.SMTP:
        host, port = self.server.host, self.server.port
        if self.server.security == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=self.seconds, context=self.tls)
        return smtplib.SMTP(host, port, timeout=self.seconds)

    def _log_in(self, connection: smtplib.SMTP) -> None:
        if self.server.security == "starttls":
            connection.starttls(context=self.tls)
        user, password = self.server.user, self.server.password
        if user is not None:
            connection.login(user, password.get_secret_value() if password else "")


def _failure(error: Exception) -> NotDelivered:
    """Say what went wrong; what a server says about a log-in is left out, because some repeat what they were told."""
    code, said = _answer(error)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return NotDelivered(f"the mail server refused the user or the password ({code})")
    refused = isinstance(error, smtplib.SMTPRecipientsRefused | smtplib.SMTPSenderRefused | smtplib.SMTPDataError)
    message = in_short(f"the mail server did not take it: {said}")
    return NotDelivered(message, for_good=refused and code >= 500)


def _answer(error: Exception) -> tuple[int, str]:
    """Return the server's code (0: it gave none) and its words."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        return code, f"{code} {_decoded(said)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code, f"{error.smtp_code} {_decoded(error.smtp_error)}"
    return 0, f"{type(error).__name__}: {error}"


def _decoded(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said
