"""Chat models from a setting: made with LangChain, refused with an error that says what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr, ValidationError

from ...errors import ConfigurationError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = ["check_model", "open_model"]

_INSTEAD = "or unset ADJOURN_MODEL to work with rules."


def check_model(spec: str) -> None:
    """Check, without a network call, that a chat model can be used.

    It finds a name that LangChain does not know, a provider package that is not installed and a key that is not set.
    It cannot find a key that the provider refuses or a model that does not exist there.

    Args:
        spec: A model as LangChain names it, such as `openai:gpt-5-mini`.

    Raises:
        ConfigurationError: The model cannot be used; the message names the variable or the package.
    """
    open_model(spec)


def open_model(spec: str) -> BaseChatModel:
    """Make the chat model of a setting.

    Args:
        spec: A model as LangChain names it, such as `openai:gpt-5-mini`.

    Returns:
        The model. Keys and addresses come from the provider's usual variables, such as `OPENAI_API_KEY`.

    Raises:
        ConfigurationError: As `check_model`.
    """
    # Loading LangChain takes a good part of a second: only when a model is really wanted.
    from langchain.chat_models import init_chat_model

    if not spec.rpartition(":")[2].strip():
        raise _unknown(spec)
    try:
        model = init_chat_model(spec)
    except ImportError as error:
        raise ConfigurationError(f"The model {spec!r} cannot be used: {_line(error)}, {_INSTEAD}") from error
    except ValidationError as error:
        reason = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise ConfigurationError(_missing(spec, reason)) from error
    except ValueError as error:
        raise _unknown(spec) from error
    except Exception as error:  # every provider has an error class of its own for a missing key
        raise ConfigurationError(_missing(spec, _line(error))) from error
    for field, variable in model.lc_secrets.items():
        value = getattr(model, field, None)
        if isinstance(value, SecretStr) and not value.get_secret_value():
            raise ConfigurationError(_missing(spec, f"{variable} is not set"))
    return model


def _unknown(spec: str) -> ConfigurationError:
    return ConfigurationError(
        f"The model {spec!r} names no provider that LangChain knows. "
        f"Set ADJOURN_MODEL to provider:model, such as openai:gpt-5-mini, {_INSTEAD}"
    )


def _missing(spec: str, reason: str) -> str:
    return f"The model {spec!r} cannot be used: {reason.rstrip('.')}. Set what is missing, {_INSTEAD}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
