"""A mail server on loopback: enough of SMTP (RFC 5321, STARTTLS, AUTH PLAIN) for the standard library's client."""

import base64
import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from support.serving import served


@dataclass(frozen=True)
class Delivered:
    sender: str
    to: str
    raw: bytes
    secured: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return cast("EmailMessage", message_from_bytes(self.raw, policy=policy.default))


class MailReceiver(socketserver.ThreadingTCPServer):
    """Notes every message.

    Args:
        tls: Its certificate; with it STARTTLS is offered, or demanded from the first byte with `at_once`.
        password: What `kate` has to log in with; None: nobody has to.
    """

    daemon_threads = False
    allow_reuse_address = True

    def __init__(self, tls: ssl.SSLContext | None, *, at_once: bool, password: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.tls, self.at_once, self.password = tls, at_once, password
        self.delivered: list[Delivered] = []
        self.said: list[str] = []
        # command (such as RCPT, or `.` for the end of a message) → what is answered to it, `hang` or `close`, in order
        self.answers: dict[str, list[str]] = {}
        self.closing = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


class _Over(Exception):
    pass


class _Session(socketserver.StreamRequestHandler):
    server: MailReceiver

    def handle(self) -> None:
        self.secured, self.user, self.sender, self.to = False, None, "", ""
        if self.server.at_once:
            self._secure()
        with contextlib.suppress(_Over, OSError):
            self._say("220 loopback")
            while line := self.rfile.readline():
                command = line.decode().strip()
                self.server.said.append(command)
                self._take(command)
        if self.secured:
            self.connection.close()

    def _take(self, command: str) -> None:
        verb = command.split(" ")[0].upper()
        if self.server.answers.get(verb):
            self._say(self.server.answers[verb].pop(0))
            return
        getattr(self, f"_{verb.lower()}", self._unknown)(command)

    def _unknown(self, _: str) -> None:
        self._say("502 what?")

    def _ehlo(self, _: str) -> None:
        offers = ["loopback"]
        offers += ["STARTTLS"] if self.server.tls and not self.secured else []
        offers += ["AUTH PLAIN"] if self.server.password else []
        for offer in offers[:-1]:
            self._say(f"250-{offer}")
        self._say(f"250 {offers[-1]}")

    def _starttls(self, _: str) -> None:
        self._say("220 go on")
        self._secure()

    def _auth(self, command: str) -> None:
        _, user, password = base64.b64decode(command.split(" ")[2]).decode().split("\0")
        if (user, password) != ("kate", self.server.password):
            self._say(f"535 {user} may not come in with {password}")  # a server that repeats what it was told
            return
        self.user = user
        self._say("235 welcome")

    def _mail(self, command: str) -> None:
        if self.server.password and not self.user:
            self._say("530 who are you?")
            return
        self.sender = command.split("<")[1].split(">")[0]
        self._say("250 yes")

    def _rcpt(self, command: str) -> None:
        self.to = command.split("<")[1].split(">")[0]
        self._say("250 yes")

    def _data(self, _: str) -> None:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        refusals = self.server.answers.get(".")
        if refusals:
            self._say(refusals.pop(0))
            return
        self.server.delivered.append(Delivered(self.sender, self.to, b"".join(lines), self.secured, self.user))
        self._say("250 taken")

    def _rset(self, _: str) -> None:
        self._say("250 yes")

    def _quit(self, _: str) -> None:
        self._say("221 bye")
        raise _Over

    def _say(self, answer: str) -> None:
        if answer == "hang":
            self.server.closing.wait(30)
            raise _Over
        if answer == "close":
            raise _Over
        self.wfile.write(f"{answer}\r\n".encode())

    def _secure(self) -> None:
        assert self.server.tls is not None
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.secured = True


@contextlib.contextmanager
def mail_receiver(
    tls: ssl.SSLContext | None = None, *, at_once: bool = False, password: str | None = None
) -> Iterator[MailReceiver]:
    """Run a mail server for the length of a block."""
    with served(MailReceiver(tls, at_once=at_once, password=password)) as server:
        yield server
