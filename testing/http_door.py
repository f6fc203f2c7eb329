"""The HTTP side of the loopback server: sockets, threads, waits and cuts; it knows the paths and nothing of scripts."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final, TypeAlias

from .openai_render import Rendered, render_failure
from .openai_request import Api, Json, ModelRequest, mask_headers
from .replies import Failure, Reply

__all__ = ["HttpDoor"]

AnswerCall: TypeAlias = Callable[[ModelRequest], tuple[Reply | None, Rendered]]
EmbedCall: TypeAlias = Callable[[Json], Rendered]

_PATHS: Final[dict[str, Api]] = {"/v1/chat/completions": "chat", "/v1/responses": "responses"}
_EMBEDDINGS: Final = "/v1/embeddings"
# How often a waiting thread looks whether the server is being closed, in seconds.
_GLANCE: Final = 0.02


class HttpDoor:
    """A threaded HTTP server on a free port of 127.0.0.1.

    Args:
        answer: Gives the answer to a model call; runs in the thread of the request.
        list_models: Gives the answer to `GET /v1/models`.
        embed: Gives the answer to `POST /v1/embeddings`; runs in the thread of the request.
    """

    def __init__(self, *, answer: AnswerCall, list_models: Callable[[], Rendered], embed: EmbedCall) -> None:
        self.answer = answer
        self.list_models = list_models
        self.embed = embed
        self.closing = threading.Event()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port.

        Raises:
            RuntimeError: The door is not open.
        """
        if self._server is None:
            raise RuntimeError("The model server is not running: use it as `with ModelServer([…]) as server: …`.")
        return self._server.server_port

    def open(self) -> None:
        """Listen and serve in the background.

        Raises:
            RuntimeError: It was opened before; a server is used once.
        """
        if self._server is not None or self.closing.is_set():
            raise RuntimeError("A model server runs once: make a new one.")
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _GLANCE}, name="model-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop, cut open connections, and join every thread."""
        self.closing.set()
        if self._server is None or self._thread is None or not self._thread.is_alive():
            return
        self._server.shutdown()
        self._thread.join()
        self._server.cut_all()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    # Closing joins the threads of requests, so that no test leaves one behind.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, door: HttpDoor) -> None:
        self.door = door
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        # HTTPServer looks the host's full name up here, which may ask a name server.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        # Noted before the thread starts, so that closing, which ends this loop first, misses none.
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_all(self) -> None:
        """Shut down every connection, which wakes threads that wait for their caller."""
        with self._lock:
            for connection in self._open:
                _shut(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._send(self.server.door.list_models())
        else:
            self._refuse(404, f"Unknown path {self.path}: GET knows /v1/models.")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        api = _PATHS.get(self.path)
        if api is None and self.path != _EMBEDDINGS:
            self._refuse(404, f"Unknown path {self.path}: POST knows {', '.join(_PATHS)} and {_EMBEDDINGS}.")
        elif (parsed := _json_object(body)) is None:
            self._refuse(400, "We could not parse the JSON body of your request: an object is expected.")
        elif api is None:
            self._send(self.server.door.embed(parsed))
        else:
            self._serve(ModelRequest(api, parsed, mask_headers(dict(self.headers.items()))))

    def _serve(self, request: ModelRequest) -> None:
        reply, rendered = self.server.door.answer(request)
        if reply is None:
            self._send(rendered)
        elif self._wait(reply):
            self._send(rendered, cut_at=reply.cut_at)
        else:
            self.close_connection = True

    def _wait(self, reply: Reply) -> bool:
        """Wait as the reply wants it; return False if the server is closed first."""
        closing = self.server.door.closing
        if reply.silent:
            closing.wait()
            return False
        while reply.until is not None and not reply.until.wait(_GLANCE):
            if closing.is_set():
                return False
        return not (reply.seconds and closing.wait(reply.seconds))

    def _send(self, rendered: Rendered, *, cut_at: float | None = None) -> None:
        # One request per connection: neither side is left with idle sockets when a test ends.
        self.close_connection = True
        try:
            if cut_at == 0:
                _shut(self.connection)
                return
            self.send_response(rendered.status)
            for name, value in {**rendered.headers, "Connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(rendered.body if cut_at is None else rendered.body[: int(len(rendered.body) * cut_at)])
        except (BrokenPipeError, ConnectionResetError):
            pass  # the caller gave up first, which is its right

    def _refuse(self, status: int, message: str) -> None:
        failed = Failure(status, message, "invalid_request_error")
        self._send(render_failure(failed, ident=f"{time.monotonic_ns():x}"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class calls it so
        """Say nothing: requests are recorded, not printed."""


def _json_object(body: bytes) -> Json | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        connection.shutdown(socket.SHUT_RDWR)
