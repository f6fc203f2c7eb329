"""Notices by e-mail, against a real mail server on loopback."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from adjourn.engine.mail import MailNotifier, MailServer, address_of, mail_of
from adjourn.engine.notices import Notice, text
from adjourn.engine.notifiers import NotDelivered
from adjourn.errors import ConfigurationError
from support.certificates import own_certificate
from support.mail_receiver import MailReceiver, mail_receiver

SENDER = address_of("adjourn <adjourn@example.org>", "FROM")
DANA = address_of("dana@example.org", "TO")


def notifier(server: MailReceiver, *, scheme: str = "smtp+plain", login: str = "", **more: Any) -> MailNotifier:
    url = f"{scheme}://{login}127.0.0.1:{server.port}"
    return MailNotifier(MailServer.from_url(SecretStr(url)), SENDER, DANA, **more)


async def test_a_notice_is_one_message_in_plain_text(notice: Notice) -> None:
    with mail_receiver() as server:
        await notifier(server).notify(notice)
    (mail,) = server.delivered
    message = mail.message
    assert (mail.sender, mail.to) == ("adjourn@example.org", "dana@example.org")
    assert message["Subject"] == "[adjourn] An answer is needed: payments"
    assert message["From"] == "adjourn <adjourn@example.org>"
    assert message["To"] == "dana@example.org"
    assert message["Message-ID"] == f"<{notice.event_id}@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().replace("\r\n", "\n") == text(notice)


@pytest.mark.parametrize("at_once", [False, True], ids=["starttls", "tls"])
async def test_over_tls_with_a_login(notice: Notice, tmp_path: Path, at_once: bool) -> None:
    certificate, client = own_certificate(tmp_path)
    with mail_receiver(certificate, at_once=at_once, password="p@ss/word") as server:
        scheme = "smtps" if at_once else "smtp"
        sender = notifier(server, scheme=scheme, login="kate:p%40ss%2Fword@", tls=client)
        await sender.notify(notice)
    assert [(mail.secured, mail.user) for mail in server.delivered] == [(True, "kate")]


async def test_a_server_that_nobody_vouches_for_gets_neither_login_nor_message(notice: Notice, tmp_path: Path) -> None:
    certificate, _ = own_certificate(tmp_path)
    with (
        mail_receiver(certificate, password="secret") as server,
        pytest.raises(NotDelivered, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        await notifier(server, scheme="smtp", login="kate:secret@").notify(notice)
    assert (server.delivered, [line for line in server.said if "AUTH" in line]) == ([], [])


async def test_starttls_is_demanded(notice: Notice) -> None:
    with mail_receiver(password="secret") as server, pytest.raises(NotDelivered, match="STARTTLS"):
        await notifier(server, scheme="smtp", login="kate:secret@").notify(notice)
    assert (server.delivered, [line for line in server.said if "AUTH" in line]) == ([], [])


@pytest.mark.parametrize(
    ("command", "answer", "for_good"),
    [
        ("RCPT", "550 no such user", True),
        ("RCPT", "450 come back later", False),
        ("MAIL", "553 not from you", True),
        ("MAIL", "451 busy", False),
        (".", "554 this is spam", True),
        (".", "452 no room", False),
        ("EHLO", "close", False),
        ("DATA", "close", False),
        (".", "close", False),
    ],
)
async def test_what_a_refusal_means(notice: Notice, command: str, answer: str, for_good: bool) -> None:
    with mail_receiver() as server:
        server.answers = {command: [answer]}
        with pytest.raises(NotDelivered) as caught:
            await notifier(server).notify(notice)
    assert caught.value.for_good is for_good
    assert server.delivered == []


async def test_a_server_that_hangs_is_left(notice: Notice) -> None:
    with mail_receiver() as server:
        server.answers = {"MAIL": ["hang"]}
        with pytest.raises(NotDelivered, match="timed out"):
            await notifier(server, seconds=0.2).notify(notice)


@pytest.mark.parametrize("answer", ["554 and stay away", "close"])
async def test_once_the_message_is_taken_a_bad_farewell_is_no_failure(notice: Notice, answer: str) -> None:
    with mail_receiver() as server:
        server.answers = {"QUIT": [answer]}
        await notifier(server).notify(notice)
    assert len(server.delivered) == 1


async def test_the_password_is_never_shown_even_if_the_server_repeats_it(
    notice: Notice, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    certificate, client = own_certificate(tmp_path)
    with mail_receiver(certificate, password="another") as server:
        sender = notifier(server, scheme="smtp", login="kate:hunter2@", tls=client)
        with pytest.raises(NotDelivered, match=r"refused the user or the password \(535\)") as caught:
            await sender.notify(notice)
    assert not caught.value.for_good  # an operator mends that, and then it is sent
    for shown in (caplog.text, repr(sender), str(caught.value)):
        assert "hunter2" not in shown


async def test_no_text_of_a_notice_becomes_a_header_or_a_command(notice: Notice) -> None:
    evil = "x\r\nBcc: eve@example.org\r\n\r\n.\r\nMAIL FROM:<eve@example.org>\u2028\u202e"
    nasty = replace(notice, workflow=evil, thread_id=evil, review_id=evil, asked=evil, roles=(evil,))
    with mail_receiver() as server:
        await notifier(server).notify(nasty)
    (mail,) = server.delivered
    assert set(mail.message.keys()) >= {"Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted"}
    assert "Bcc" not in mail.message
    assert [line for line in server.said if "eve" in line] == []
    assert "\u202e" not in mail.message.get_content()
    assert "\u2028" not in mail.message.get_content()


def test_names_outside_ascii_travel(notice: Notice) -> None:
    message = mail_of(replace(notice, workflow="Verträge", asked="Zahlen? ✓"), SENDER, DANA)
    assert message["Subject"].endswith("Verträge")
    assert "✓" in message.get_content()
    assert bytes(message).isascii()


@pytest.mark.parametrize(
    ("url", "host", "port", "security"),
    [
        ("smtp://mail.example.org", "mail.example.org", 587, "starttls"),
        ("smtps://mail.example.org", "mail.example.org", 465, "tls"),
        ("smtp+plain://127.0.0.1", "127.0.0.1", 25, "none"),
        ("smtp://kate:x@mail.example.org:2525", "mail.example.org", 2525, "starttls"),
    ],
)
def test_the_url_of_a_server(url: str, host: str, port: int, security: str) -> None:
    server = MailServer.from_url(SecretStr(url))
    assert (server.host, server.port, server.security) == (host, port, security)


@pytest.mark.parametrize(
    "url",
    [
        *("mail.example.org", "http://mail.example.org", "smtp://", "smtp://host:port"),
        *("smtp+plain://kate:hunter2@host", "smtp://kate:hunter2%C3%B6@host"),
    ],
)
def test_a_url_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ADJOURN_NOTIFY_SMTP_URL is not usable") as caught:
        MailServer.from_url(SecretStr(url))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("given", ["", "dana", "dana@", "@x", "a@b\r\nBcc: c@d", "a@b, c@d", "two words@x"])
def test_an_address_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match="TO is not usable"):
        address_of(given, "TO")
