"""The program behind support.forking: imports what is asked for, then forks a child for each request.

    fork_server.py <socket> <module>…

A request comes over the socket: the three standard streams, and as JSON the arguments, the environment and the folder.
The answer is the child's process id, and its return code once it has ended. A child whose connection is closed
is killed; so is every child when standard input ends, which is when the test process is gone.

In a child the loop returns, and the interpreter goes on as `python` does with the same arguments: same `sys.path`, same
`__main__`, same end with all exit handlers. `FORKED_EXECUTABLE` in its environment becomes its `sys.executable`. A child
cannot show what the interpreter or a library reads when it starts (`PYTHONHASHSEED`, `-W`, …), what importing costs, that
something is imported too early or too late, or what becomes of objects when the interpreter is taken down.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import types
from pathlib import Path

STREAMS = 3


class Server:
    """One process that forks others, and tells whoever asked for them how they ended."""

    def __init__(self, address):
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(address)
        self._listening.listen(64)
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._children = {}
        self._ready = selectors.DefaultSelector()
        for each in (self._listening, self._woken, sys.stdin.fileno()):
            self._ready.register(each, selectors.EVENT_READ)

    def serve(self):
        """Serve until standard input ends; return the request in a child, None in the server."""
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            for key, _ in self._ready.select():
                if key.fileobj is self._listening:
                    request = self._fork()
                    if request is not None:
                        return request
                elif key.fileobj is self._woken:
                    self._woken.recv(4096)
                elif key.fd == sys.stdin.fileno():
                    for pid in self._children:
                        os.kill(pid, signal.SIGKILL)
                    return None
                else:
                    self._given_up(key.fileobj)
            self._reap()

    def _fork(self):
        connection, _ = self._listening.accept()
        streams, request = received(connection)
        pid = os.fork()
        if pid == 0:
            self._leave(connection)
            become(streams, request)
            return request
        for each in streams:
            os.close(each)
        self._children[pid] = connection
        self._ready.register(connection, selectors.EVENT_READ)
        with contextlib.suppress(OSError):
            connection.sendall(b"%d\n" % pid)
        return None

    def _leave(self, connection):
        """In a child: let go of what is the server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._ready.close()
        for each in (connection, self._listening, self._woken, self._waker, *self._children.values()):
            each.close()

    def _given_up(self, connection):
        self._ready.unregister(connection)
        for pid, of_pid in self._children.items():
            if of_pid is connection:
                os.kill(pid, signal.SIGKILL)

    def _reap(self):
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                connection = self._children.pop(pid)
                with contextlib.suppress(KeyError, ValueError):
                    self._ready.unregister(connection)
                with contextlib.suppress(OSError):
                    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
                connection.close()


def received(connection):
    """Read a request: its streams and what it asks for."""
    _, streams, _, _ = socket.recv_fds(connection, 1, STREAMS)
    with connection.makefile("rb") as file:
        return streams, json.loads(file.read(int(file.readline())))


def become(streams, request):
    """Make this process what a fresh interpreter with these streams, this environment and this folder would be."""
    os.setpgid(0, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])
    # new ones: what the old ones know of the terminal, and of seeking, is about other files
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old, mode = getattr(sys, name), "w" if number else "r"
        new = open(number, mode, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
        if number:
            new.reconfigure(line_buffering=name == "stderr" or new.isatty())
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    importlib.invalidate_caches()
    sys.executable = os.environ.pop("FORKED_EXECUTABLE", sys.executable)


def run(arguments):
    """Do what `python` does with the arguments: `-c code`, `-m module`, `-`, or a file; `-P` before them counts."""
    safe = arguments[0] == "-P"
    kind, rest = arguments[safe], arguments[safe + 1 :]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__builtins__ = __builtins__
    path = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    first = {"-c": "", "-": "", "-m": str(Path.cwd())}.get(kind, str(Path(kind).parent.resolve()))
    sys.path[:] = [*([] if safe else [first]), *path, *sys.path]
    if kind == "-m":
        sys.argv = rest
        runpy._run_module_as_main(rest[0])
        return
    sys.argv = ["-c", *rest[1:]] if kind == "-c" else [kind, *rest]
    if kind == "-c":
        code, name = rest[0], "<string>"
    elif kind == "-":
        code, name = sys.stdin.read(), "<stdin>"
    else:
        code, name = Path(kind).read_bytes(), kind
        main.__file__ = kind
    exec(compile(code, name, "exec", dont_inherit=True), main.__dict__)


def end(code):
    """End as a program does that came to its end: wait for its threads, call its exit handlers, write what it said.

    Then go, and let the operating system take the memory. To take down an interpreter that holds all these modules costs
    as much as all else that a small command does.
    """
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, ValueError):  # nobody reads it, or it was closed: Python has something to say about that
        return
    os._exit(code)


def read_word_lists():
    """Have the rule analyst read its word lists, which it keeps and which takes it longer than a text."""
    from adjourn.nodes.analysts.rules import rule_analyst

    rule_analyst("The supplier is liable.")


def serve():
    """Import, read, serve; return the arguments of the program to run in a child, None in the server."""
    address, *modules = sys.argv[1:]
    del sys.path[0]  # the folder of this file
    for name in modules:
        importlib.import_module(name)
    read_word_lists()
    if threading.active_count() > 1:
        raise SystemExit(f"threads do not survive a fork: {threading.enumerate()}")
    gc.collect()
    gc.freeze()
    server = Server(address)
    print("ready", flush=True)
    request = server.serve()
    if request is None:
        return None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return request["arguments"]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked = serve()
    if asked is not None:
        try:
            run(asked)
        except SystemExit as left:
            if left.code is None or isinstance(left.code, int):
                end((left.code or 0) & 0xFF)
            raise
        end(0)
