"""Notices by HTTP, against a real server on loopback. Signatures are checked by code of this file."""

import base64
import hashlib
import hmac
import json
import logging
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from adjourn.engine.notices import Notice, payload
from adjourn.engine.notifiers import NotDelivered
from adjourn.engine.webhook import Patience, WebhookNotifier, retry_after, signature, signing_keys
from adjourn.errors import ConfigurationError
from support.certificates import own_certificate
from support.web_receiver import Answer, Posted, WebReceiver, web_receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLDER = "whsec_" + base64.b64encode(bytes(range(32))).decode()


class Pauses:
    """Stands in for sleeping, and writes down how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


def notifier(url: str, pauses: Pauses | None = None, secret: str = SECRET, **more: Any) -> WebhookNotifier:
    patience = Patience(attempts=3, timeout=more.pop("timeout", 10.0), first_pause=1.0, longest_pause=8.0)
    return WebhookNotifier(SecretStr(url), signing_keys(SecretStr(secret)), patience, sleep=pauses or Pauses(), **more)


def verified(posted: Posted, secret: str) -> bool:
    """What a receiver does."""
    key = base64.b64decode(secret.split("_")[1])
    content = f"{posted.headers['webhook-id']}.{posted.headers['webhook-timestamp']}.{posted.body.decode()}"
    wanted = base64.b64encode(hmac.digest(key, content.encode(), hashlib.sha256)).decode()
    fresh = abs(time.time() - int(posted.headers["webhook-timestamp"])) < 300
    signatures = [each.split(",", 1) for each in posted.headers["webhook-signature"].split(" ")]
    return fresh and ["v1", wanted] in signatures


def test_the_signature_is_that_of_the_specifications_example() -> None:
    keys = signing_keys(SecretStr(SECRET))
    made = signature(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_notice_is_posted_once_as_signed_json(web: WebReceiver, notice: Notice) -> None:
    await notifier(web.url).notify(notice)
    (posted,) = web.posted
    assert json.loads(posted.body) == payload(notice)
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["webhook-id"] == notice.event_id
    assert verified(posted, SECRET)
    assert not verified(posted, OLDER)


async def test_while_keys_change_it_is_signed_with_each(web: WebReceiver, notice: Notice) -> None:
    await notifier(web.url, secret=f"{SECRET}, {OLDER}").notify(notice)
    assert verified(web.posted[0], SECRET)
    assert verified(web.posted[0], OLDER)


@pytest.mark.parametrize("answer", [500, 503, 408, 429, "close"])
async def test_what_may_pass_is_tried_again(web: WebReceiver, notice: Notice, pauses: Pauses, answer: Answer) -> None:
    web.answers = [answer, 204]
    await notifier(web.url, pauses).notify(notice)
    first, second = web.posted
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert verified(second, SECRET)
    assert len(pauses.seconds) == 1


async def test_a_receiver_that_hangs_is_left_and_tried_again(web: WebReceiver, notice: Notice) -> None:
    web.answers = ["hang"] * 3
    with pytest.raises(NotDelivered, match="did not answer within 0.2 s") as caught:
        await notifier(web.url, timeout=0.2).notify(notice)
    assert not caught.value.for_good
    assert len(web.posted) == 3


@pytest.mark.parametrize("answer", [400, 401, 404, 410, 301, (302, {"location": "/elsewhere"})])
async def test_a_refusal_is_for_good(web: WebReceiver, notice: Notice, pauses: Pauses, answer: Answer) -> None:
    web.answers = [answer]
    with pytest.raises(NotDelivered, match="which means never") as caught:
        await notifier(web.url, pauses).notify(notice)
    assert caught.value.for_good
    assert (len(web.posted), pauses.seconds) == (1, [])


async def test_it_stops_after_so_many_attempts(web: WebReceiver, notice: Notice, pauses: Pauses) -> None:
    web.answers = [500] * 9
    with pytest.raises(NotDelivered, match="the webhook answered 500") as caught:
        await notifier(web.url, pauses).notify(notice)
    assert not caught.value.for_good
    assert (len(web.posted), len(pauses.seconds)) == (3, 2)


async def test_nobody_there(notice: Notice, pauses: Pauses) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/t0ken"
        with pytest.raises(NotDelivered, match="could not be reached") as caught:
            await notifier(url, pauses).notify(notice)
    assert len(pauses.seconds) == 2
    assert "t0ken" not in str(caught.value)


async def test_retry_after_is_waited_for(web: WebReceiver, notice: Notice, pauses: Pauses) -> None:
    web.answers = [(429, {"retry-after": "7"}), 200]
    await notifier(web.url, pauses).notify(notice)
    assert pauses.seconds == [7.0]


async def test_a_retry_after_that_is_too_long_is_left_to_the_next_sweep(
    web: WebReceiver, notice: Notice, pauses: Pauses
) -> None:
    web.answers = [(503, {"retry-after": "3600"})]
    with pytest.raises(NotDelivered) as caught:
        await notifier(web.url, pauses).notify(notice)
    assert (caught.value.retry_after, pauses.seconds) == (timedelta(hours=1), [])


def test_retry_after_is_a_number_or_a_date() -> None:
    now = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
    assert retry_after("120", now) == 120
    assert retry_after("Sat, 21 Nov 2026 12:00:30 GMT", now) == 30
    assert retry_after("Sat, 21 Nov 2026 11:00:00 GMT", now) == 0
    assert [retry_after(text, now) for text in (None, "", "soon", "-5", "1.5")] == [None] * 5


def test_pauses_grow_are_bounded_and_differ() -> None:
    patience = Patience(first_pause=0.5, longest_pause=8.0)
    assert [patience.pause(attempt, 1.0) for attempt in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert patience.pause(2, 0.25) == 0.5


async def test_https_needs_a_certificate_that_is_trusted(notice: Notice, tmp_path: Path) -> None:
    server, client = own_certificate(tmp_path)
    with web_receiver(server) as web:
        with pytest.raises(NotDelivered, match="CERTIFICATE_VERIFY_FAILED"):
            await notifier(web.url).notify(notice)
        assert web.posted == []
        await notifier(web.url, tls=client).notify(notice)
        assert len(web.posted) == 1


async def test_neither_key_nor_url_is_shown_or_logged(
    web: WebReceiver, notice: Notice, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    web.answers = [500, 404]
    sender = notifier(web.url)
    with pytest.raises(NotDelivered) as caught:
        await sender.notify(notice)
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    for shown in (caplog.text, repr(sender), str(caught.value), repr(caught.value)):
        for secret in ("t0ken", SECRET[6:], repr(key)):
            assert secret not in shown


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", f"{SECRET},oops", "whsec_ümlaut"])
def test_a_key_that_is_none_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="ADJOURN_NOTIFY_WEBHOOK_SECRET is not usable") as caught:
        signing_keys(SecretStr(secret))
    assert "c2hvcnQ" not in str(caught.value)
