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


def problems(console: Console, found: Iterable[Problem], *, color: str = "red") -> None:
    """What went wrong, and what to do; in another color what is only to be noticed."""
    for problem in found:
        console.print(
            Text.assemble((f"{problem.code}: ", f"bold {color}"), plain(problem.message)), soft_wrap=True
        )
        if problem.remedy:
            console.print(Text.assemble(("  → ", "bold"), plain(problem.remedy)), soft_wrap=True)
