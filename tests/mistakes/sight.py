"""What may stand on a terminal after a mistake: one message that names it, whole at the terminal's width, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.cells import cell_len

from tests.mistakes.terminal import screen

NOISE = re.compile(
    r"Traceback|^\s*at [\w.$]+\(|Caused by:|\bWARN\b|\bERROR\b|\bWARNING\b|^\{\"ts\"|QueryContextLogger|py4j|"
    r"\b(java|scala|org|io)\.[\w.$]*(Exception|Error)\b|File \"/|NativeCodeLoader|log4j|Exception ignored|UserWarning|FutureWarning",
    re.MULTILINE,
)
# copied from a terminal, a command must stay one line
_TO_PASTE = re.compile(r"rover-spark [a-z]")


def assert_a_person_can_read(came: str, width: int, words: Iterable[str], lines: int) -> None:
    seen = [line.rstrip() for line in screen(came)]
    whole = "\n".join(seen)
    shown = [line for line in seen if line]
    assert not NOISE.search(came), whole
    assert len(shown) <= lines, whole
    for line in shown:
        assert cell_len(line) <= width or _TO_PASTE.search(line), (width, line, whole)
    # words may stand at the end of one line and at the beginning of the next
    flat = " ".join(re.sub(r"[│╭╰─╮╯]", " ", whole).split())
    together = "".join(flat.split())
    for word in words:
        assert "".join(word.split()) in together, (word, whole)
