"""The marked blocks of the documents: where each stands, how its text is replaced, and what of it must stay the same."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_BLOCK = re.compile(
    r"(?<=<!-- output: )(?P<name>[\w-]+)( -->\n)(?P<text>.*?)(?=<!-- /output: (?P=name) -->)", re.DOTALL
)
# What may differ from run to run. The order matters: a later pattern finds what an earlier one left.
_VARIES = (
    (r'^ "device":.*\n', ""),  # the one member that a record of the demo may lack
    (r"^( *)\{.*$", r"\1{}"),  # a record on a line of its own
    (r"^ (\"\w+\":).*$", r" \1"),  # a field of a record that is broken into lines
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16,}\b", "HEX"),
    (r"\d{4}-?\d\d-?\d\dT\d\d:?\d\d(:?\d\d(\.\d+)?)?Z?", "TIME"),
    (r"\d[\d,.]* (B|kB|MB|GB)\b", "SIZE"),
    (r"(\d+ (d|h|min|s)\b ?)+", "AGE"),
    (r"\d[\d,.]*", "N"),
    (r"\bN (record|file|time zone|event)s?\b", r"N \1s"),
    (r"[ ─]+", " "),
    (r"[ |:-]+$", ""),
)


def blocks() -> dict[str, str]:
    """The text of each block by its name, as it stands in its page."""
    found = [each for page in PAGES for each in _BLOCK.finditer(page.read_text(encoding="utf-8"))]
    names = [each["name"] for each in found]
    assert len(names) == len(set(names)), "two blocks have one name"
    return {each["name"]: each["text"] for each in found}


def replace(made: dict[str, str]) -> list[Path]:
    """Writes texts into their blocks; the pages that changed."""
    changed = []
    for page in PAGES:
        old = page.read_text(encoding="utf-8")
        new = _BLOCK.sub(lambda each: f"{each['name']} -->\n{made.get(each['name'], each['text'])}", old)
        if new != old:
            page.write_text(new, encoding="utf-8")
            changed.append(page)
    return changed


def shape(text: str) -> list[str]:
    """A block without what differs between two runs: numbers, sizes, times, ids, the values of records."""
    for pattern, same in _VARIES:
        text = re.sub(pattern, same, text, flags=re.MULTILINE)
    return text.splitlines()


def fenced(language: str, text: str) -> str:
    """A fenced block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)
