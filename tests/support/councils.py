"""Agents for tests: what they answer is said beforehand; what they were asked is kept."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from adjourn.nodes.council import Member, member

OPTIONS = ["right", "wrong", "other"]


class Voter:
    """An agent that answers by kind of request; a list is one answer for each time, a function is called."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[dict[str, Any]] = []

    def kinds(self) -> list[str]:
        return [request["kind"] for request in self.asked]

    def __call__(self, request: Any) -> Any:
        self.asked.append(request)
        answer = self.answers.get(request["kind"], "")
        if isinstance(answer, list):
            answer = answer[min(self.kinds().count(request["kind"]), len(answer)) - 1]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, BaseException):
            raise answer
        if request["kind"] == "vote" and isinstance(answer, str) and answer in request["options"]:
            return {"decision": answer, "reason": f"{request['agent']} says {answer}"}
        return answer


def voters(*votes: Any, **data: Any) -> list[Member]:
    """One agent for each vote, called a0, a1, …"""
    return [member(f"a{number}", Voter(vote=vote), **data) for number, vote in enumerate(votes)]


class Together:
    """An async agent that answers only when so many are being asked at the same moment."""

    def __init__(self, count: int, answer: Callable[[Any], Any]) -> None:
        self._count, self._answer = count, answer
        self._inside, self._all = 0, asyncio.Event()
        self._lock = threading.Lock()

    async def __call__(self, request: Any) -> Any:
        self._inside += 1
        if self._inside == self._count:
            self._all.set()
        await self._all.wait()
        return self._answer(request)
