"""What a person sees. Here the words that all of it uses; ``progress``, ``tables`` and ``results`` are its rooms.

Everything that comes from outside (keys, messages) is printed as plain text: no markup, no control characters.
Loads no Spark: a person sees something before Spark is there.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from rover_spark.errors import Problem


def plain(text: object) -> Text:
    """Text without markup; control characters become visible escapes."""
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)))


def indented(text: Text, width: int, indent: int = 4) -> list[Text]:
    """A text's lines, wrapped at words, each behind an indent."""
    lines = text.wrap(Console(width=width), max(width - indent, 20))
    for line in lines:
        line.rstrip()
    return [Text.assemble(" " * indent, line) for line in lines]


def hanging(text: Text, width: int, indent: int = 4) -> list[Text]:
    """A text's lines, wrapped at words, all but the first behind an indent; what is too long for a line goes on in the next."""
    first, *rest = text.wrap(Console(width=width), max(width - indent, 20))
    for line in (first, *rest):
        line.rstrip()
    return [first, *(Text.assemble(" " * indent, line) for line in rest)]


def problems(console: Console, found: Iterable[Problem], *, color: str = "red") -> None:
    """What went wrong, and what to do; in another color what is only to be noticed.

    On a terminal lines end between words, but a command is in one piece.
    """
    for problem in found:
        message = Text.assemble((f"{problem.code}: ", f"bold {color}"), plain(problem.message))
        remedy = Text.assemble(("  → ", "bold"), plain(problem.remedy))
        for text in (message, remedy) if problem.remedy else (message,):
            whole = not console.is_terminal or "rover-spark " in text.plain
            for line in [text] if whole else hanging(text, console.width):
                console.print(line, soft_wrap=True)
