"""A command's result, as a person reads it. Writes to the console it is given."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from rover_spark.console import plain, problems, size
from rover_spark.console.tables import batches_table, checks_table, schemas_table, status_table
from rover_spark.result import Result


def show(console: Console, result: Result) -> None:
    """A command's result."""
    if result.command == "status":
        console.print(status_table(result.more["datasets"]))
        if result.batches:
            console.print()
            console.print(batches_table(result.batches, width=console.width))
    elif result.command == "verify":
        done = result.more["verified"]
        console.print(
            plain(
                f"{done['files']} files, {done['records']:,} records, {size(done['bytes'])} read back from the bucket"
            )
        )
        if done["elsewhere"]:
            console.print(
                f"{done['elsewhere']} files were delivered to the destination of another day: not read"
            )
    elif result.command == "schemas":
        console.print(schemas_table(result.more["schemas"]))
        for key in result.more.get("published", ()):
            console.print(Text.assemble("put ", plain(key)))
        if "place" in result.more:
            console.print(Text.assemble("all of it in ", plain(result.more["place"])))
        return
    elif result.command == "check":
        console.print(checks_table(result.more["checks"]))
        console.print(plain("nothing stands in the way" if result.ok else "delivery would fail"))
        return
    elif result.command == "sweep":
        for reference in result.more["removed"]:
            console.print(Text.assemble("removed ", plain(reference)))
    elif result.command == "rerun":
        console.print(
            plain(
                f"{result.more['dataset']}: the next export delivers the outstanding changes, then begins anew"
            )
        )
    if result.batches and result.command != "status":
        console.print(batches_table(result.batches, result.more.get("planned"), console.width))
        for batch in result.batches:
            for told in filter(None, (batch.note, _of_events(batch.counts))):
                console.print(plain(f"{batch.batch}: {told}"), soft_wrap=True)
    problems(console, result.problems)
    if not result.problems or result.result == "nothing to do":
        console.print(
            plain("all of it is as the ledger says" if result.command == "verify" else result.result)
        )


def _of_events(counts: dict[str, int]) -> str:
    """What was noticed of events that were delivered all the same."""
    late, zones = counts.get("late"), counts.get("timezone_dropped")
    told = [f"{late:,} were told over an hour late, at most {counts['max_lateness_s']:,} s"] if late else []
    told += [f"{zones:,} had a time zone that is none, and have null now"] if zones else []
    return "; ".join(told)
