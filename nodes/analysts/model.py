"""The model analyst: asks a chat model for an analysis in the same form that the rules give.

The document is sent as data between marked lines, never as part of the instructions (`prompts/analysis.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ...errors import ConfigurationError, RunFailed
from ...settings import current_settings
from ...state.analysis import Analysis
from ..prompts import load_prompt
from .chat_models import open_model

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from . import AsyncAnalyst

__all__ = ["model_analyst"]

MARK_LETTERS = 16


def model_analyst(model: BaseChatModel | str | None = None) -> AsyncAnalyst:
    """Make an analyst that asks a chat model.

    Args:
        model: A LangChain chat model that can give structured output, or the name of one, such as
            `openai:gpt-5-mini`. None: the setting `ADJOURN_MODEL`, which is read when the analyst runs.

    Returns:
        An async `Analyst`. When it runs it raises

        - ConfigurationError: there is no model, or it lacks its key or its package;
        - RunFailed: the model refused, or its answer is no valid analysis; asking again may help;
        - whatever error the provider's client raises (network, rate limit, refused key), unchanged, so that retry
          policies can tell these apart.
    """

    async def analyse(text: str, *, notes: Sequence[str] = ()) -> Analysis:
        chosen = _choose(model)
        asked = chosen.with_structured_output(Analysis, include_raw=True)
        try:
            answer: Any = await asked.ainvoke([("system", load_prompt("analysis")), ("human", _message(text, notes))])
        except ValidationError as error:  # some clients check the schema themselves, before LangChain's parser does
            raise _no_analysis(error) from error
        if answer["parsing_error"] is not None:
            raise _no_analysis(answer["parsing_error"]) from answer["parsing_error"]
        if not isinstance(answer["parsed"], Analysis):
            raise RunFailed("The model's answer holds no analysis. Retry the run, or choose another model.")
        return answer["parsed"]

    return analyse


def _choose(model: BaseChatModel | str | None) -> BaseChatModel:
    if model is None:
        model = current_settings().model
    if model is None:
        raise ConfigurationError(
            "The model analyst has no model. Set ADJOURN_MODEL, such as openai:gpt-5-mini, or use rule_analyst."
        )
    return open_model(model) if isinstance(model, str) else model


def _message(text: str, notes: Sequence[str]) -> str:
    # The mark depends on everything between the lines, so no document can hold its own end line.
    mark = sha256("\0".join((text, *notes)).encode()).hexdigest()[:MARK_LETTERS]
    parts = [f"BEGIN DOCUMENT {mark}\n{text}\nEND DOCUMENT {mark}"]
    parts += [f"BEGIN NOTE {mark}\n{note}\nEND NOTE {mark}" for note in notes]
    return "\n\n".join(parts)


def _no_analysis(error: BaseException) -> RunFailed:
    """Say what is wrong with an answer, without repeating the answer, which may quote the document."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, ValidationError):
        found = found.__cause__ or found.__context__
    if found is None:
        reason = type(error).__name__
    else:
        first = found.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole answer"
        reason = f"{where}: {first['msg']}"
    return RunFailed(f"The model's answer is no valid analysis ({reason}). Retry the run, or choose another model.")
