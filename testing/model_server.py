"""A loopback HTTP server that speaks the OpenAI API and plays a script.

It answers `POST /v1/chat/completions`, `POST /v1/responses` (whole and streamed), `POST /v1/embeddings` and
`GET /v1/models`, so that the real clients run over real HTTP: their retries, time-outs, parsers and errors are what is
tested. Only the standard library is used, and nothing but this machine can reach it.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from .http_door import HttpDoor
from .openai_checks import find_fault
from .openai_embeddings import Embed, render_embeddings, texts_to_embed, word_vector
from .openai_render import Rendered, models_page, render, render_failure, render_json
from .openai_request import Json, ModelRequest
from .replies import Failure, Reply, ReplyLike, as_reply
from .script import Script, ScriptExhausted

__all__ = ["ModelServer"]

# Without this header the clients repeat a 500 after growing waits, which only delays the message.
_DO_NOT_RETRY = {"x-should-retry": "false"}


class ModelServer:
    """An OpenAI-compatible server on 127.0.0.1, driven by the test; a context manager.

    Requests are served in threads of their own, so slow ones hold up nobody. A list gives one reply to each request,
    in order of arrival; with concurrent callers use a function, which answers by content and is called in several
    threads. Retries of a client are requests too and use up a reply each. Requests that OpenAI would refuse (see
    `openai_checks`) get its HTTP 400 and use up no reply.

    Args:
        script: Replies (see `adjourn.testing.replies`; a `str` is a text, a `dict` structured output), or a function
            from a `ModelRequest` to one.
        strict: Raise at exit when the list was not used up exactly. Beyond its end, requests get HTTP 500 that says
            so in either case.
        models: The names that `GET /v1/models` lists.
        embed: From a text to its vector, called in several threads. By default texts with words in common are near each
            other (see `adjourn.testing.openai_embeddings`). Embeddings use up no reply.

    Raises (at the end of the `with` block, unless it is left by another error, which then gets a note):
        ScriptExhausted: `strict` is set and replies are left over or were missing.
        Exception: Whatever a script function raised, an `assert` for example; the caller got HTTP 500.
    """

    def __init__(
        self,
        script: Iterable[ReplyLike] | Callable[[ModelRequest], ReplyLike],
        *,
        strict: bool = False,
        models: Sequence[str] = ("gpt-5-mini",),
        embed: Embed = word_vector,
    ) -> None:
        self._script: Script[ModelRequest, ReplyLike] = Script(script, owner=type(self).__name__)
        self._strict = strict
        self._models = tuple(models)
        self._embed_text = embed
        self._requests: list[ModelRequest] = []
        self._embedded: list[str] = []
        self._arrived = threading.Condition()
        self._error: Exception | None = None
        self._door = HttpDoor(answer=self._answer, list_models=self._list_models, embed=self._embed)

    @property
    def url(self) -> str:
        """The base URL, `http://127.0.0.1:<port>/v1`; known inside the `with` block."""
        return f"http://127.0.0.1:{self._door.port}/v1"

    @property
    def requests(self) -> list[ModelRequest]:
        """The model calls so far, in order of arrival; secrets in headers are masked."""
        with self._arrived:
            return list(self._requests)

    @property
    def embedded(self) -> list[str]:
        """The texts that vectors were asked for so far, in order of arrival."""
        with self._arrived:
            return list(self._embedded)

    def environment(self) -> dict[str, str]:
        """Return the variables that lead the OpenAI and LangChain clients here, for `monkeypatch` or a child process.

        `OPENAI_API_BASE` is among them because LangChain prefers it to `OPENAI_BASE_URL`, and `NO_PROXY` because a
        proxy of the machine would be asked for 127.0.0.1 too.
        """
        return {
            "OPENAI_BASE_URL": self.url,
            "OPENAI_API_BASE": self.url,
            "OPENAI_API_KEY": "test-key",
            "NO_PROXY": "127.0.0.1",
        }

    def wait_for_requests(self, count: int, *, timeout: float = 10.0) -> list[ModelRequest]:
        """Wait until so many model calls have arrived, answered or not.

        Args:
            count: How many.
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: They did not arrive in time.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._requests) >= count, timeout):
                raise TimeoutError(f"{len(self._requests)} of {count} model calls arrived within {timeout:g} s.")
            return list(self._requests)

    def close(self) -> None:
        """Stop listening, cut what is unanswered, and wait for all threads of the server. Closing twice is harmless."""
        self._door.close()

    def __enter__(self) -> Self:
        self._door.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        problem = self._script.problem() if self._strict else None
        failed = self._error or (ScriptExhausted(problem) if problem else None)
        if failed is None:
            return
        if error is None:
            raise failed
        error.add_note(f"ModelServer: {type(failed).__name__}: {failed}")

    def _answer(self, request: ModelRequest) -> tuple[Reply | None, Rendered]:
        ident = uuid.uuid4().hex  # never the same in two servers: LangGraph merges messages by id
        with self._arrived:
            self._requests.append(request)
            self._arrived.notify_all()
        if fault := find_fault(request):
            return None, render_failure(fault, ident=ident)
        try:
            reply = as_reply(self._script.next(request))
            return reply, render(reply, request, ident=ident, created=int(time.time()))
        except ScriptExhausted as error:
            return None, self._broken(str(error), ident)
        except Exception as error:  # noqa: BLE001  the script is the test's code: its error is raised at exit
            self._error = self._error or error
            return None, self._broken(f"The script function raised {type(error).__name__}: {error}", ident)

    def _embed(self, body: Json) -> Rendered:
        ident = uuid.uuid4().hex
        with self._arrived:
            self._embedded += texts_to_embed(body) or []
        try:
            return render_embeddings(body, self._embed_text, ident=ident)
        except Exception as error:  # noqa: BLE001  as in `_answer`
            self._error = self._error or error
            return self._broken(f"The function `embed` raised {type(error).__name__}: {error}", ident)

    def _broken(self, message: str, ident: str) -> Rendered:
        return render_failure(
            Failure(500, message, "server_error", code="script_error", headers=_DO_NOT_RETRY), ident=ident
        )

    def _list_models(self) -> Rendered:
        return render_json(200, models_page(self._models, created=int(time.time())), ident=uuid.uuid4().hex)
