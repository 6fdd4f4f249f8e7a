"""Before the first export, or after a change of rights: tries everything that delivery needs, on a small scale.

Receivers see nothing of it: what a try writes lies in the staging place and is removed again. One small object stays
there where the role may read but not remove. Each try does what a run does, in the way a run does it: one of them
stages in a Spark task. Raises nothing; each try is a Finding.
"""

from __future__ import annotations

from collections.abc import Iterator

from rover_spark.audit.found import Finding
from rover_spark.audit.preflight.destination import destination
from rover_spark.audit.preflight.ledger import ledger_place
from rover_spark.audit.preflight.tables import tables
from rover_spark.audit.status import statuses
from rover_spark.config.settings import Settings
from rover_spark.delta.engine_errors import engine
from rover_spark.delta.session import Session
from rover_spark.delta.storage import unmet
from rover_spark.errors import RoverSparkError
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.wording import counted
from rover_spark.produce.port import Owner, Producer


def findings(
    session: Session, settings: Settings, ledger: Ledger, producer: Producer, owner: Owner
) -> Iterator[Finding]:
    """Every try, in the order in which a run comes to it. The session's values are pinned by the caller."""
    dataset_states: dict[str, DatasetState] = {}
    unopened = ""  # the code of the error, where nobody knows which engine serves the ledger
    known = False  # where the ledger cannot be read, no file of the bucket is missing in it
    try:
        with engine("ledger"):
            ledger.open(create=False)
            dataset_states, known = ledger.dataset_states(), True
    except RoverSparkError as error:
        yield Finding.failed("ledger", "read it", error.problem)
        unopened = error.problem.code if ledger.storage is None else ""
    else:
        batches = counted(
            sum(dataset_state.seq for dataset_state in dataset_states.values()), "batch", "batches"
        )
        found = batches if ledger.exists else "none yet: export makes it"
        yield Finding("ledger", "read it", "ok", found)
    yield _logs(settings)
    if unopened != "ledger_failed":  # Spark may not serve it then, so it is not tried by Spark
        yield from ledger_place(session, ledger)
    for name in settings.delivers:
        yield from tables(producer, name, dataset_states.get(name, DatasetState()))
    for status in statuses(producer, settings.delivers, dataset_states):
        if status.problem is not None and status.delivered_version is not None:
            yield Finding(
                status.dataset,
                "what is undelivered",
                "warning" if status.problem.code == "changes_expire" else "failed",
                status.problem.message,
                status.problem.remedy,
            )
    ahead = (
        max((dataset_state.instant for dataset_state in dataset_states.values()), default=0) - producer.now
    )
    if ahead > 0:
        yield Finding.skewed("ledger", "the last batch", ahead / 1000)
    yield from destination(session.spark, settings, owner, dataset_states if known else None)


def _logs(settings: Settings) -> Finding:
    """Whether logs and ledger can be read without Spark, where they are paths. Spark gives the same answers, and takes longer."""
    about, tried = "tables", "logs without Spark"
    if settings.tables.engine == "spark":
        return Finding(about, tried, "ok", 'Spark reads them: tables.engine is "spark"')
    if missing := unmet():
        remedy = "pip install 'rover_spark[native]': runs without new rows then start no Spark."
        return Finding(about, tried, "warning", f"Spark reads them: {missing}", remedy)
    return Finding(about, tried, "ok", "deltalake is installed: it reads the logs of tables by path")
