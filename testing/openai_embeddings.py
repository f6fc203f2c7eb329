"""OpenAI's embeddings, played: vectors that are near each other when texts have words in common.

Each word has a direction of its own, made of its hash, and a text goes where its words point together. So likeness can be
tested with real clients and a real database, and without a model: it is the likeness of words, not of meaning.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from .openai_render import Rendered, render_failure, render_json
from .openai_request import Json
from .replies import Failure

__all__ = ["Embed", "render_embeddings", "texts_to_embed", "word_vector"]

Embed: TypeAlias = Callable[[str], Sequence[float]]
"""From a text to its vector."""

_LENGTH: Final = 64
_WORD: Final = re.compile(r"[^\W_]+")


def word_vector(text: str) -> list[float]:
    """Return 64 numbers for a text; the same for the same words, in any order."""
    total = [0.0] * _LENGTH
    for word in _WORD.findall(text.casefold()):
        digest = hashlib.shake_256(word.encode()).digest(_LENGTH)
        total = [number + byte - 127.5 for number, byte in zip(total, digest, strict=True)]
    length = math.sqrt(sum(number * number for number in total)) or 1.0
    return [number / length for number in total]


def texts_to_embed(body: Json) -> list[str] | None:
    """Return the texts of a request; None when it has none (lists of tokens are not read)."""
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(each, str) and each for each in texts):
        return None
    return texts


def render_embeddings(body: Json, embed: Embed, *, ident: str) -> Rendered:
    """Return the HTTP answer to a request for embeddings.

    Args:
        body: The request.
        embed: Makes the vectors.
        ident: A text that no other reply has.
    """
    texts = texts_to_embed(body)
    if texts is None:
        fault = "'input' must be a text or a list of texts, none of them empty; this server reads no tokens."
        return render_failure(Failure(400, fault, "invalid_request_error", param="input"), ident=ident)
    vectors = [[float(number) for number in embed(text)] for text in texts]
    packed = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if packed else vector}
        for index, vector in enumerate(vectors)
    ]
    tokens = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    whole = {"object": "list", "data": data, "model": body.get("model", ""), "usage": usage}
    return render_json(200, whole, ident=ident)


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
