"""Embedding models: made from the setting or given by the user, and asked for the vectors of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from ..errors import ConfigurationError
from ..settings import Settings
from .case_vectors import Vector

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

__all__ = ["Embedder", "embedder_of", "open_embeddings"]

_INSTEAD = "or unset ADJOURN_EMBEDDING_MODEL to find cases by their words."


class Embedder:
    """Asks an embedding model; it is made when it is first asked.

    The name under which vectors are kept is that of the setting; of a model that was given as an object, the name of its
    class and what it has as `model` or `model_name`. With the length of the vectors it tells models apart.

    Args:
        model: A LangChain embedding model, or the name of one, such as `openai:text-embedding-3-small`.
    """

    def __init__(self, model: Embeddings | str) -> None:
        self._given = model
        self._opened: Embeddings | None = None if isinstance(model, str) else model
        self.name = model if isinstance(model, str) else _name_of(model)

    async def of_case(self, text: str) -> Vector:
        """Return what a case means; raises whatever the provider's client raises, so that retries can tell why."""
        return self._vector((await self._model().aembed_documents([text]))[0])

    async def of_question(self, text: str) -> Vector:
        """Return what a question means; raises like `of_case`."""
        return self._vector(await self._model().aembed_query(text))

    def _model(self) -> Embeddings:
        if self._opened is None:
            self._opened = open_embeddings(str(self._given))
        return self._opened

    def _vector(self, values: list[float]) -> Vector:
        return Vector(f"{self.name} {len(values)}", [float(value) for value in values])


def embedder_of(settings: Settings, given: Embeddings | None) -> Embedder | None:
    """Return what makes vectors of cases; None where no model is set.

    Args:
        settings: The settings.
        given: A model that wins over the setting.

    Raises:
        ConfigurationError: There is a model and an encryption key, and nothing says that vectors may be kept in clear.
    """
    model = given if given is not None else settings.embedding_model
    if model is None:
        return None
    if settings.encryption_key is not None and not settings.clear_vectors:
        raise ConfigurationError(
            "ADJOURN_ENCRYPTION_KEY and an embedding model are set. Vectors are compared by the database, so they cannot be "
            "encrypted, and much of a text can be guessed from its vector. Unset ADJOURN_EMBEDDING_MODEL (cases are found "
            "by hashes of their words then), or set ADJOURN_CLEAR_VECTORS=true if that may be known."
        )
    return Embedder(model)


def open_embeddings(spec: str) -> Embeddings:
    """Make the embedding model of a setting.

    Args:
        spec: A model as LangChain names it, such as `openai:text-embedding-3-small`.

    Raises:
        ConfigurationError: The model cannot be used; the message says what is missing.
    """
    # Loading LangChain takes a good part of a second: only when a model is really wanted.
    from langchain.embeddings import init_embeddings

    try:
        return init_embeddings(spec)
    except ImportError as error:
        raise ConfigurationError(f"The embedding model {spec!r} cannot be used: {_line(error)}, {_INSTEAD}") from error
    except ValidationError as error:
        reason = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise ConfigurationError(_missing(spec, reason)) from error
    except ValueError as error:
        raise ConfigurationError(
            f"The embedding model {spec!r} names no provider that LangChain knows. Set ADJOURN_EMBEDDING_MODEL to "
            f"provider:model, such as openai:text-embedding-3-small, {_INSTEAD}"
        ) from error
    except Exception as error:  # every provider has an error class of its own for a missing key
        raise ConfigurationError(_missing(spec, _line(error))) from error


def _name_of(model: Embeddings) -> str:
    name = getattr(model, "model", None) or getattr(model, "model_name", None)
    return f"{type(model).__name__} {name}" if isinstance(name, str) else type(model).__name__


def _missing(spec: str, reason: str) -> str:
    return f"The embedding model {spec!r} cannot be used: {reason.rstrip('.')}. Set what is missing, {_INSTEAD}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
