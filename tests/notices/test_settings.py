"""Who is told, from the settings."""

import json
from typing import Any

import pytest

from adjourn.engine.notices import Notice
from adjourn.engine.receivers import receivers_of
from adjourn.errors import ConfigurationError
from adjourn.settings import load_settings

WEB = {"notify_webhook_url": "https://hooks.example.org/t0ken", "notify_webhook_secret": "whsec_" + "A" * 32}
MAIL: dict[str, Any] = {
    "notify_smtp_url": "smtp://kate:hunter2@mail.example.org",
    "notify_mail_from": "adjourn@example.org",
    "notify_mail_to": {"legal": ["dana@example.org", "lee@example.org"], "finance": ["dana@example.org"]},
}


def test_by_default_nobody_is_told_and_no_content_leaves() -> None:
    settings = load_settings()
    assert receivers_of(settings) == ()
    assert settings.notify_content is False


def test_each_way_has_its_settings() -> None:
    receivers = receivers_of(load_settings(notify_log=True, **WEB, **MAIL))
    assert [each.name for each in receivers] == ["log", "webhook", "mail:dana@example.org", "mail:lee@example.org"]


@pytest.mark.parametrize(
    ("roles", "told"),
    [(("legal",), {"dana", "lee"}), (("finance",), {"dana"}), (("other",), set()), ((), {"dana", "lee"})],
)
def test_mail_goes_to_those_who_may_answer(notice: Notice, roles: tuple[str, ...], told: set[str]) -> None:
    from dataclasses import replace

    receivers = receivers_of(load_settings(**MAIL))
    wanting = {each.name for each in receivers if each.wants(replace(notice, roles=roles))}
    assert wanting == {f"mail:{name}@example.org" for name in told}


def test_the_star_gets_everything_once(notice: Notice) -> None:
    both = {"legal": ["dana@example.org"], "*": ["dana@example.org"]}
    (only,) = receivers_of(load_settings(**{**MAIL, "notify_mail_to": both}))
    assert only.roles is None


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADJOURN_NOTIFY_MAIL_TO", json.dumps(MAIL["notify_mail_to"]))
    assert load_settings().notify_mail_to == {
        "legal": ("dana@example.org", "lee@example.org"),
        "finance": ("dana@example.org",),
    }


@pytest.mark.parametrize("given", ["dana@example.org", '{"legal": "dana@example.org"}', "[]"])
def test_addresses_that_are_no_such_json(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("ADJOURN_NOTIFY_MAIL_TO", given)
    with pytest.raises(ConfigurationError, match="ADJOURN_NOTIFY_MAIL_TO"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"notify_webhook_url": "https://x.example"}, "ADJOURN_NOTIFY_WEBHOOK_SECRET"),
        *(
            ({**WEB, "notify_webhook_url": url}, "ADJOURN_NOTIFY_WEBHOOK_URL")
            for url in (
                "ftp://x.example",
                "x.example",
                "https://",
                "https://x.example:port",
                "https://kate:x@x.example",
            )
        ),
        ({**MAIL, "notify_mail_from": None}, "ADJOURN_NOTIFY_MAIL_FROM"),
        ({**MAIL, "notify_mail_to": {}}, "ADJOURN_NOTIFY_MAIL_TO"),
        ({**MAIL, "notify_mail_to": {"legal": ["dana"]}}, "ADJOURN_NOTIFY_MAIL_TO"),
    ],
)
def test_what_is_missing_or_wrong_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        receivers_of(load_settings(**given))


def test_secrets_are_masked() -> None:
    settings = load_settings(**WEB, **MAIL)
    shown = repr(settings) + repr(receivers_of(settings)) + settings.model_dump_json()
    assert not [secret for secret in ("t0ken", "hunter2", "A" * 32) if secret in shown]
