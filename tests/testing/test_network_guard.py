"""The guard that keeps tests on this machine."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import httpx
import pytest

from support.network import ForeignNetwork, guarded_network

FOREIGN = "192.0.2.1"  # reserved for documentation, belongs to nobody


def test_a_connection_to_a_foreign_address_is_refused_before_it_is_made(no_foreign_network: list[str]) -> None:
    with socket.socket() as sock, pytest.raises(ForeignNetwork, match=FOREIGN):
        sock.connect((FOREIGN, 80))
    assert no_foreign_network == [FOREIGN]
    no_foreign_network.clear()


def test_a_foreign_name_is_not_even_looked_up(no_foreign_network: list[str]) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get("https://example.invalid/", trust_env=False)
    assert no_foreign_network == ["example.invalid"]
    no_foreign_network.clear()


async def test_asyncio_is_guarded_as_well(no_foreign_network: list[str]) -> None:
    with pytest.raises(ForeignNetwork):
        await asyncio.open_connection(FOREIGN, 80)
    assert no_foreign_network == [FOREIGN]
    no_foreign_network.clear()


def test_datagrams_are_guarded_as_well(no_foreign_network: list[str]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(ForeignNetwork):
        sock.sendto(b"metrics", (FOREIGN, 8125))
    no_foreign_network.clear()


def test_loopback_and_unix_sockets_are_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername()[0] == "127.0.0.1"
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"x")
        assert other.recv(1) == b"x"


def test_a_swallowed_refusal_still_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(AssertionError, match=f"tried to leave the machine: {FOREIGN}"),
        guarded_network(monkeypatch),
        socket.socket() as sock,
        suppress(OSError),
    ):
        sock.connect((FOREIGN, 80))
