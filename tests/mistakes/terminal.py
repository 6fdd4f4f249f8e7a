"""A real terminal for the command line: a pseudo-terminal, the program on it, and what a person sees in the end."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[()][A-Z0-9]|([\r\n])|([^\x1b\r\n]+)")
END = "\x1eend"


def screen(raw: str) -> list[str]:
    """The lines that stand there in the end, however wide: a line that the terminal would break is one line here."""
    lines, row, column = [""], 0, 0
    for found in _TOKEN.finditer(raw):
        numbers, command, control, text = found.groups()
        if control == "\n":
            row, column = row + 1, 0
        elif control == "\r":
            column = 0
        elif command == "A":
            row = max(0, row - int(numbers or 1))
        elif command == "K":
            lines[row] = "" if numbers == "2" else lines[row][:column]
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        lines += [""] * (row + 1 - len(lines))
    return lines


class Terminal:
    """The program in one process, so that all of its commands share one JVM; each runs as if it were the first."""

    def __init__(self, *options: str) -> None:
        self._ours, theirs = pty.openpty()
        read, self._commands = os.pipe()
        environ = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        environ |= {"PYTHONPATH": str(_ROOT), "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mistakes.program", str(read), *options],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            pass_fds=[read],
            cwd=_ROOT,
            env=environ,
            start_new_session=True,
        )
        os.close(theirs)
        os.close(read)

    def begin(self, width: int, **task: Any) -> None:
        """Begins a task of ``program``."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        os.write(self._commands, (json.dumps(task) + "\n").encode())

    def rest(self) -> str:
        """Everything that comes until no process has the terminal any more."""
        came = b""
        with suppress(OSError):
            while more := os.read(self._ours, 1 << 16):
                came += more
        return came.decode(errors="replace")

    def run(self, width: int, seconds: float = 240, **task: Any) -> tuple[int, str]:
        """Runs one task of ``program``; the exit code and everything that came to the terminal meanwhile."""
        self.begin(width, **task)
        came, end = b"", time.monotonic() + seconds
        while (found := re.search(rf"{END} (-?\d+)\r?\n", came.decode(errors="replace"))) is None:
            assert time.monotonic() < end, came.decode(errors="replace")
            if select.select([self._ours], [], [], 0.2)[0]:
                came += os.read(self._ours, 1 << 16)
        return int(found[1]), came.decode(errors="replace")[: found.start()]

    def close(self) -> None:
        os.close(self._commands)  # the program ends
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            os.close(self._ours)
