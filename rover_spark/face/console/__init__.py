"""What the terminal shows. Here is what all of it shares: plain text, lines that fit, problems with their remedies.

Text from outside (keys, messages) is printed without markup and control characters. Loads no Spark: the first line
appears before Spark starts.
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
    """A text's lines, wrapped at words, all but the first behind an indent; a word longer than a line continues in the next."""
    first, *rest = text.wrap(Console(width=width), max(width - indent, 20))
    for line in (first, *rest):
        line.rstrip()
    return [first, *(Text.assemble(" " * indent, line) for line in rest)]


def problems(console: Console, found: Iterable[Problem], *, color: str = "red") -> None:
    """Prints each problem and its remedy; ``color`` sets notices apart from errors.

    On a terminal lines break between words; a line with a command is never broken.
    """
    for problem in found:
        message = Text.assemble((f"{problem.code}: ", f"bold {color}"), plain(problem.message))
        remedy = Text.assemble(("  → ", "bold"), plain(problem.remedy))
        for text in (message, remedy) if problem.remedy else (message,):
            whole = not console.is_terminal or "rover-spark " in text.plain
            for line in [text] if whole else hanging(text, console.width):
                console.print(line, soft_wrap=True)
