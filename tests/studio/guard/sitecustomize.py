"""Loaded by every Python that a test of Studio starts: what it tries to reach outside this machine is written down.

And LangGraph's server looks for runs to begin twenty times a second, and not twice, so that tests need not wait for it.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path

_connect = socket.socket.connect
_look_up = socket.getaddrinfo
_sleep = asyncio.sleep
_LOCAL = ("127.", "::1", "localhost", "0.0.0.0")


def _note(host):
    host = host.decode() if isinstance(host, bytes) else str(host or "")
    if host and not host.startswith(_LOCAL):
        with Path(os.environ["FOREIGN_HOSTS"]).open("a") as file:
            file.write(host + "\n")
        raise OSError(f"a test tried to reach {host}")


def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        _note(address[0])
    return _connect(self, address)


def look_up(host, *args, **kwargs):
    _note(host)
    return _look_up(host, *args, **kwargs)


socket.socket.connect = connect
socket.getaddrinfo = look_up


def sleep(delay, result=None):
    if sys._getframe(1).f_globals["__name__"] == "langgraph_runtime_inmem.ops":
        delay = min(delay, 0.05)
    return _sleep(delay, result)


asyncio.sleep = sleep
