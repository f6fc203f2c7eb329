from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from adjourn.engine.notices import Notice
from support.web_receiver import WebReceiver, web_receiver


@pytest.fixture
def notice() -> Notice:
    return Notice(
        kind="asked",
        thread_id="order 7",
        review_id="r-1",
        workflow="payments",
        at=datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC),
        roles=("finance", "legal"),
        decisions=("approve", "reject"),
        due_at=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        asked="pay: 10 to ACME?",
    )


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as server:
        yield server
