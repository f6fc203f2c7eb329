"""The code blocks of a Markdown page, in order."""

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?P<mark><!-- not run: (?P<why>[^>]+) -->\n)?^```(?P<kind>python|bash)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One block: `python` or `bash`, its code, the line it starts on, and why it is not run (None: it is run)."""

    kind: str
    code: str
    line: int
    not_run: str | None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["kind"], found["code"], text.count("\n", 0, found.start("code")) + 1, found["why"])
        for found in _BLOCK.finditer(text)
    ]
