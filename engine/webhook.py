"""Notices by HTTP: a POST of JSON, signed as the Standard Webhooks specification says.

`webhook-id` is the event's id: a receiver that has seen it drops the request. `webhook-timestamp` is this attempt's time in
seconds since 1970. `webhook-signature` is `v1,` and the base64 of an HMAC-SHA-256 over id.timestamp.body; one for each
key, with spaces between.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
from pydantic import SecretStr

from ..errors import ConfigurationError
from ..state.values import canonical_json
from .notices import Notice, payload
from .notifiers import NotDelivered

__all__ = ["Patience", "WebhookNotifier", "retry_after", "signature", "signing_keys"]

_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = range(24, 65)
_AGAIN: Final = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a webhook is tried, in seconds; what fails then is left to the next sweep.

    Args:
        attempts: Requests for one notice.
        timeout: For one request, from connecting to the answer.
        first_pause: The longest pause after the first request; it doubles with each. A pause is a random part of that,
            so that senders that failed together do not come back together.
        longest_pause: The longest pause, and the longest `Retry-After` that is waited for here.
    """

    attempts: int = 4
    timeout: float = 8.0
    first_pause: float = 0.5
    longest_pause: float = 8.0

    def pause(self, attempt: int, chance: float) -> float:
        """Return the pause after an attempt (0 is the first), for a chance from 0 to 1."""
        return chance * min(self.longest_pause, self.first_pause * 2.0**attempt)


def signing_keys(secret: SecretStr) -> tuple[bytes, ...]:
    """Read the keys of a secret: `whsec_` and base64, newest first, commas between.

    Raises:
        ConfigurationError: One is no base64, or is not of 24 to 64 bytes.
    """
    return tuple(_key(part.strip()) for part in secret.get_secret_value().split(","))


def _key(part: str) -> bytes:
    try:
        key = base64.b64decode(part.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in _KEY_BYTES:
        raise ConfigurationError(
            "ADJOURN_NOTIFY_WEBHOOK_SECRET is not usable: each key is whsec_ and the base64 of 24 to 64 random bytes. "
            'Make one with: echo "whsec_$(openssl rand -base64 32)"'
        )
    return key


def signature(keys: Sequence[bytes], event_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature for each key.

    Args:
        keys: The keys, newest first.
        event_id: `webhook-id`.
        timestamp: `webhook-timestamp`.
        body: The body, to the byte.
    """
    signed = b"%s.%d.%s" % (event_id.encode(), timestamp, body)
    macs = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` asks for: a number or a date; None when it says nothing usable."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


@dataclass(frozen=True, slots=True)
class WebhookNotifier:
    """Posts notices to one URL.

    Tried again, a few times and with growing pauses, after connection errors, time-outs, 408, 429 and 5xx, as long as
    `Retry-After` allows. Any other answer that is not 2xx is a refusal for good: redirects are not followed.

    Args:
        url: Where to; it may hold a token, so it is never shown or logged.
        keys: The keys to sign with.
        patience: How long it is tried.
        tls: For https; default: the system's authorities.
        sleep: How it waits between two attempts.
    """

    url: SecretStr
    keys: tuple[bytes, ...] = field(repr=False)
    patience: Patience = Patience()
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def notify(self, notice: Notice) -> None:
        """Post one notice; see `Notifier`."""
        body = canonical_json(payload(notice)).encode()
        for attempt in range(self.patience.attempts):
            failure = await self._post(notice.event_id, body)
            if failure is None:
                return
            wanted = failure.retry_after.total_seconds() if failure.retry_after else 0.0
            last = attempt + 1 == self.patience.attempts
            if failure.for_good or last or wanted > self.patience.longest_pause:
                raise failure
            await self.sleep(max(wanted, self.patience.pause(attempt, random.random())))  # noqa: S311  (no secret)

    async def _post(self, event_id: str, body: bytes) -> NotDelivered | None:
        """Post once; returns what went wrong."""
        timestamp = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": "adjourn",
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self.keys, event_id, timestamp, body),
        }
        try:
            async with asyncio.timeout(self.patience.timeout):
                return _verdict(await self._answer(headers, body))
        except TimeoutError:
            return NotDelivered(f"the webhook did not answer within {self.patience.timeout:g} s")
        except httpx.TransportError as error:
            return NotDelivered(f"the webhook could not be reached: {type(error).__name__}: {error}")

    async def _answer(self, headers: dict[str, str], body: bytes) -> httpx.Response:
        """Send a request and return the answer's head; its body is not read.

        The transport is used without httpx's client: the client writes every URL to the log, and reads proxies and
        passwords from the machine.
        """
        request = httpx.Request("POST", self.url.get_secret_value(), headers=headers, content=body)
        async with httpx.AsyncHTTPTransport(verify=self.tls) as transport:
            response = await transport.handle_async_request(request)
            await response.aclose()
            return response


def _verdict(answer: httpx.Response) -> NotDelivered | None:
    if answer.is_success:
        return None
    message = f"the webhook answered {answer.status_code}"
    if answer.is_server_error or answer.status_code in _AGAIN:
        wanted = retry_after(answer.headers.get("retry-after"), datetime.now(UTC))
        return NotDelivered(message, retry_after=None if wanted is None else timedelta(seconds=wanted))
    return NotDelivered(f"{message}, which means never", for_good=True)
