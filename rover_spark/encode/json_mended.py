"""One JSON text, mended for loaders that refuse what JSON allows: NUL, and a name that stands twice in an object.

Promises that whatever needs no mending stays octet for octet: numbers with all of their digits, members in their order, blanks,
escapes. Takes valid JSON in UTF-8, whatever its depth; what is no JSON is not noticed. Source: RFC 8259.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from rover_spark.encode.json_strings import REPLACEMENT

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
# an even number of backslashes before it would be backslashes themselves
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_NAMES = re.compile(rb"(?s:(%b)[ \t]*(:)?)" % _STRING)
_TOKEN = re.compile(rb"(?s:%b)|[{}\[\],:]" % _STRING)


def without_nul(text: bytes) -> bytes:
    """The text with U+FFFD in place of each NUL, which JSON can only spell as an escape."""
    return _NUL.sub(rb"\1" + REPLACEMENT, text)


def nul_in_a_name(text: bytes) -> bool:
    """Whether the name of a member may hold a NUL: where it is replaced, the name may become that of another member."""
    return any(found[2] and b"\\u0000" in found[1] for found in _NAMES.finditer(text))


@dataclass
class _Members:
    """The members of an object that is being read: what they are named, where they begin and end, where their values begin."""

    names: list[str] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    awaits_name: bool = True
    without_nulls: bool = False

    def close(self, at: int) -> None:
        """Ends the member that was begun, if one was."""
        if len(self.ends) < len(self.begins):
            self.ends.append(at)

    def removed(self, text: bytes) -> list[tuple[int, int]]:
        """Where the text of members is that others of their name follow, or whose value is a null to leave out."""
        last = {name: number for number, name in enumerate(self.names)}
        numbers = range(len(self.names))
        kept = [number for number in numbers if last[self.names[number]] == number]
        if self.without_nulls:
            kept = [
                number for number in kept if text[self.values[number] : self.ends[number]].strip() != b"null"
            ]
        if len(kept) == len(self.names):
            return []
        if not kept:
            return [(self.begins[0], self.ends[-1])]
        there = set(kept)
        # of those before a member that stays each goes with its comma; of those behind the last one, the commas before them
        spans = [
            (self.begins[number], self.begins[number + 1])
            for number in range(kept[-1])
            if number not in there
        ]
        return spans if kept[-1] == numbers[-1] else [*spans, (self.ends[kept[-1]], self.ends[-1])]


def last_members(text: bytes, without_nulls: str | None = None) -> bytes:
    """The text with one member of a name in each object, at any depth: the last one, where it stands.

    Names are compared after unescaping. In the object that the outermost one has under the name ``without_nulls`` members whose
    value is null are left out afterwards.
    """
    stack: list[_Members | None] = []  # None is a list
    spans: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(text):
        sign, inside = token[0], stack[-1] if stack else None
        if sign == b"{":
            outer = inside if len(stack) == 1 else None
            stack.append(_Members(without_nulls=outer is not None and outer.names[-1] == without_nulls))
        elif sign == b"[":
            stack.append(None)
        elif sign in {b"}", b"]"}:
            if inside is not None:
                inside.close(token.start())
                spans += inside.removed(text)
            stack.pop()
        elif inside is None:
            continue
        elif sign == b":":
            inside.values.append(token.end())
        elif sign == b",":
            inside.close(token.start())
            inside.awaits_name = True
        elif inside.awaits_name:
            inside.names.append(_unescaped(sign))
            inside.begins.append(token.start())
            inside.awaits_name = False
    return _without(text, spans) if spans else text


def _unescaped(string: bytes) -> str:
    text = string.decode(errors="surrogateescape")
    return str(json.loads(text, strict=False)) if "\\" in text else text[1:-1]


def _without(text: bytes, spans: list[tuple[int, int]]) -> bytes:
    """The text without these parts, of which one may hold others."""
    pieces, at = [], 0
    for begin, end in sorted(spans):
        if begin >= at:
            pieces.append(text[at:begin])
        at = max(at, end)
    return b"".join([*pieces, text[at:]])
