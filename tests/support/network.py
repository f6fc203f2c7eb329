"""No test reaches a foreign network: only this machine's loopback addresses and unix sockets may be connected to.

The guard sits on Python's sockets, so it holds for httpx, asyncio, anyio and the OpenAI client; libpq opens its
sockets in C and child processes start without it. Clients turn a refused connection into an error of their own and
try again, so the guard also fails the test at its end, whatever the code under test made of the refusal.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

__all__ = ["ForeignNetwork", "guarded_network", "no_foreign_network"]


class ForeignNetwork(OSError):
    """A test tried to leave this machine."""


def is_local(host: object) -> bool:
    """Whether a host, as a socket address or a name to look up, is this machine."""
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host).split("%")[0]).is_loopback
    except ValueError:
        return False


@contextmanager
def guarded_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Refuse connections, datagrams and look-ups that leave this machine; yields the hosts that were tried.

    Raises (at the end):
        AssertionError: Something was tried.
    """
    tried: list[str] = []

    def check(host: object) -> None:
        if not is_local(host):
            tried.append(str(host))
            raise ForeignNetwork(f"A test tried to reach {host}; tests speak to 127.0.0.1 and unix sockets only.")

    def guarded(call: Callable[..., Any], address_at: int) -> Callable[..., Any]:
        def checked(sock: socket.socket, *args: Any) -> Any:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                check(args[address_at][0])
            return call(sock, *args)

        return checked

    real_look_up = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        check(host)
        return real_look_up(host, *args, **kwargs)

    for name, address_at in (("connect", 0), ("connect_ex", 0), ("sendto", -1)):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name), address_at))
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield tried
    assert not tried, f"This test tried to leave the machine: {', '.join(tried)}."


@pytest.fixture(autouse=True)
def no_foreign_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Keep every test on this machine; yields the hosts that were tried."""
    with guarded_network(monkeypatch) as tried:
        yield tried
