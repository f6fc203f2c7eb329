"""What users need to test workflows of their own.

    ModelServer          a loopback HTTP server that speaks the OpenAI API and plays a script
    ScriptedChatModel    a LangChain chat model that plays the same scripts without HTTP
    replies              what a script may hold: texts, objects, tool calls, refusals, failures, …
    Decider, decide_all  answer the reviews of a paused run until it ends

The names are loaded when they are first used: `import adjourn.testing` loads neither LangChain nor LangGraph.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .deciders import Decider, DecisionsExhausted, decide_all
    from .model_server import ModelServer
    from .models import ModelCall, ScriptedChatModel
    from .openai_request import ModelRequest
    from .script import ScriptExhausted

# module below this package → the public names that it defines
_PUBLIC: dict[str, tuple[str, ...]] = {
    "deciders": ("Decider", "DecisionsExhausted", "decide_all"),
    "model_server": ("ModelServer",),
    "models": ("ModelCall", "ScriptedChatModel"),
    "openai_request": ("ModelRequest",),
    "script": ("ScriptExhausted",),
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = [
    "Decider",
    "DecisionsExhausted",
    "ModelCall",
    "ModelRequest",
    "ModelServer",
    "ScriptExhausted",
    "ScriptedChatModel",
    "decide_all",
    "replies",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562)."""
    from importlib import import_module

    if name == "replies":
        return import_module(f"{__name__}.replies")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
