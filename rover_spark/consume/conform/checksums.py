"""A checksum of what each line says, all but when it was emitted: the same record delivered twice is emitted twice.

Left out is the ``emittedAt`` of the line's own object, and no other that stands deeper or in a text. Where one is written in
a way that is not seen here, the checksum only differs: the lines are read again and compared.
"""

from __future__ import annotations

import re
from zlib import crc32

_NAME = b'"emittedAt"'
_VALUE = re.compile(rb'\s*:\s*"[^"\\]*"')
_SAID = re.compile(_NAME + _VALUE.pattern)
_TOKEN = re.compile(rb'"[^"]*"|[{}\[\]]')  # of a line without escapes


def checksums(text: bytes, lines: int) -> list[int]:
    """A checksum a line of many lines that are right: each has an ``emittedAt`` of its own."""
    if text.count(_NAME) == lines:  # so there is no other
        left, found = _SAID.subn(b"", text)
        if found == lines:
            return list(map(crc32, left.split(b"\n")[:lines]))
    return list(map(checksum, text.split(b"\n")[:lines]))


def checksum(line: bytes) -> int:
    """The checksum of one line."""
    before, name, after = line.partition(_NAME)
    if not name:
        return crc32(line)
    if _NAME in after or before.count(b"{") > 1:  # which one it is, and whether it stands deeper
        start = _own(line)
        before, after = line[:start], line[start + len(_NAME) :]
    value = _VALUE.match(after)
    return crc32(after[value.end() :], crc32(before)) if value else crc32(line)


def _own(line: bytes) -> int:
    """Where the name stands in the outermost object; the line's end where it does not."""
    depth = 0
    for token in _TOKEN.finditer(line.replace(rb"\\", b"__").replace(rb"\"", b"__")):
        match token[0]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
            case name if depth == 1 and name == _NAME and _VALUE.match(line, token.end()):
                return token.start()
    return len(line)
