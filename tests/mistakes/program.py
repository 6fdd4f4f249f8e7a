"""`rover-spark`, many times in one process: reads tasks from a pipe, one JSON object a line, and runs each on its terminal.

``{"argv": […], "environ": {…}}`` is a command line; ``{"sql": […]}`` what an operator does to tables meanwhile;
``{"kill": true}`` takes the JVM away.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from tests.mistakes.terminal import END


def main() -> None:
    with os.fdopen(int(sys.argv[1])) as tasks:
        for line in tasks:
            task = json.loads(line)
            code = command(**task) if "argv" in task else change(**task)
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(1, f"{END} {code}\n".encode())


def command(argv: list[str], environ: dict[str, str]) -> int:
    from rover_spark.cli import app

    before = {name: os.environ.get(name) for name in environ}
    os.environ.update(environ)
    try:
        app(argv, prog_name="rover-spark")
    except SystemExit as left:
        return int(left.code or 0)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
    return 0


def change(sql: list[str] | None = None, kill: bool = False) -> int:
    """What happens between two commands."""
    from pyspark import SparkContext

    gateway: Any = SparkContext._gateway
    if kill:
        os.killpg(gateway.proc.pid, signal.SIGKILL)
        gateway.proc.wait()
    else:
        from pyspark.sql import SparkSession

        from rover_spark.demo import SESSION
        from rover_spark.face.session import build_session

        session = SparkSession.getActiveSession() or build_session(
            conf={**SESSION, "spark.master": "local[2]"}
        )
        for statement in sql or ():
            session.sql(statement)
    return 0


if __name__ == "__main__":
    main()
