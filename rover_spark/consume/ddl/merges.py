"""What an absorbed profile has become: its merges followed to their end, in whatever order they came.

The newest merge of an absorbed profile counts. A walk goes from survivor to survivor and ends at a profile that was not
absorbed: the canonical one. In a cycle there is no such profile. There the oldest merge is left out, so that the profile
that it absorbed is canonical, and ``inCycle`` says so.

A walk has a last step, so no cycle loops for ever: 64 where a warehouse has recursive views, else 16, a join each. A walk
that reaches it is taken to be in a cycle. Its last half passes each merge of the cycle, where the way to the cycle and
the cycle itself have at most half as many merges.
"""

from __future__ import annotations

from itertools import pairwise

from sqlglot import exp

from rover_spark.consume.ddl.sql import column, first_of_each, identifier, newest

RECURSIVE_STEPS = 64  # Snowflake and Spark stop at 100, BigQuery at 500
JOINED_STEPS = 16
ABSORBED, SURVIVOR, WHEN = "mergedRoverID", "roverID", "occurredAt"
CANONICAL, CYCLE = "canonicalRoverID", "inCycle"


def resolved(records: exp.Table, *, recursive: bool) -> exp.Select:
    """One row per absorbed profile: survivor of its newest merge, canonical roverID, whether a cycle was met, when.

    ``records`` are the merges, one row per id.
    """
    steps = RECURSIVE_STEPS if recursive else JOINED_STEPS
    over = exp.GTE(this=column("steps", "ends"), expression=_number(steps))
    canonical = exp.Case().when(over, column(ABSORBED, "cut")).else_(column("target", "ends"))
    found = (
        exp.select(
            *(column(each, "merge").as_(each, quoted=True) for each in (ABSORBED, SURVIVOR)),
            canonical.as_(CANONICAL, quoted=True),
            over.copy().as_(CYCLE, quoted=True),
            column(WHEN, "merge").as_(WHEN, quoted=True),
        )
        .from_(_edges("merge"))
        .join(
            _table("ends"),
            on=exp.EQ(this=column("origin", "ends"), expression=column(ABSORBED, "merge")),
        )
        .join(
            _edges("cut"),
            on=exp.EQ(this=column("age", "cut"), expression=column("oldest", "ends")),
            join_type="left",
        )
    )
    parts: dict[str, exp.Query] = {"edges": _counted(records)}
    parts |= {"walk": _walk(steps), "ends": _last_steps(steps)} if recursive else {"ends": _joined(steps)}
    for name, part in parts.items():
        found = found.with_(identifier(name), as_=part, recursive=recursive)
    found.args["with_"].set("recursive", recursive)
    return found


def _counted(records: exp.Table) -> exp.Select:
    """The newest merge of each absorbed profile, with its place in the order of time: 1 is the oldest."""
    names = (ABSORBED, SURVIVOR, WHEN)
    rows = (
        exp.select(*(column(each, "m").as_(each, quoted=True) for each in names))
        .from_(records.as_("m", quoted=True))
        .where(exp.NEQ(this=column(ABSORBED, "m"), expression=column(SURVIVOR, "m")))
    )
    order = newest(*(column(each, "m") for each in (WHEN, "emittedAt", "id")))
    latest = first_of_each(names, rows, [column(ABSORBED, "m")], order)
    age = exp.Window(
        this=exp.RowNumber(),
        order=exp.Order(
            expressions=[exp.Ordered(this=column(each, "n"), nulls_first=True) for each in (WHEN, ABSORBED)]
        ),
    )
    chosen = [column(each, "n").as_(each, quoted=True) for each in names]
    return exp.select(*chosen, age.as_("age", quoted=True)).from_(latest.subquery(identifier("n")))


def _walk(steps: int) -> exp.Union:
    """Every step of every walk, one row each: where it began, the survivor that it reached, the age of its merge."""
    begin = exp.select(
        column(ABSORBED, "e").as_("origin", quoted=True),
        column(SURVIVOR, "e").as_("target", quoted=True),
        column("age", "e").as_("age", quoted=True),
        _number(1).as_("steps", quoted=True),
    ).from_(_edges("e"))
    further = (
        exp.select(
            column("origin", "w").as_("origin", quoted=True),
            column(SURVIVOR, "e").as_("target", quoted=True),
            column("age", "e").as_("age", quoted=True),
            exp.Add(this=column("steps", "w"), expression=_number(1)).as_("steps", quoted=True),
        )
        .from_(_table("walk").as_("w", quoted=True))
        .join(_edges("e"), on=exp.EQ(this=column(ABSORBED, "e"), expression=column("target", "w")))
        .where(exp.LT(this=column("steps", "w"), expression=_number(steps)))
    )
    return begin.union(further, distinct=False)


def _last_steps(steps: int) -> exp.Select:
    """The last step of each walk, with the oldest merge among the steps of its last half."""
    late = exp.GT(this=column("steps", "w"), expression=_number(steps // 2))
    oldest = exp.Window(
        this=exp.Min(this=exp.Case().when(late, column("age", "w"))), partition_by=[column("origin", "w")]
    )
    names = ("origin", "target", "steps")
    rows = exp.select(
        *(column(each, "w").as_(each, quoted=True) for each in names), oldest.as_("oldest", quoted=True)
    ).from_(_table("walk").as_("w", quoted=True))
    return first_of_each((*names, "oldest"), rows, [column("origin", "w")], newest(column("steps", "w")))


def _joined(steps: int) -> exp.Select:
    """The same without recursion: as many joins as a walk has steps."""
    names = [f"e{number}" for number in range(1, steps + 1)]
    ended = exp.Is(this=column(ABSORBED, names[-1]), expression=exp.Null())
    targets = [column(SURVIVOR, each) for each in reversed(names)]
    ages = [column("age", each) for each in names[steps // 2 :]]
    found = exp.select(
        column(ABSORBED, names[0]).as_("origin", quoted=True),
        exp.Coalesce(this=targets[0], expressions=targets[1:]).as_("target", quoted=True),
        exp.Case().when(ended, _number(1)).else_(_number(steps)).as_("steps", quoted=True),
        exp.Case()
        .when(exp.Not(this=ended.copy()), exp.Least(this=ages[0], expressions=ages[1:]))
        .as_("oldest", quoted=True),
    ).from_(_edges(names[0]))
    for before, name in pairwise(names):
        met = exp.EQ(this=column(ABSORBED, name), expression=column(SURVIVOR, before))
        found = found.join(_edges(name), on=met, join_type="left")
    return found


def _table(name: str) -> exp.Table:
    return exp.Table(this=identifier(name))


def _edges(alias: str) -> exp.Expr:
    return _table("edges").as_(alias, quoted=True)


def _number(value: int) -> exp.Expr:
    return exp.Literal.number(value)
