"""The report on a bucket: what it holds, and the breaches of the contract by name, with counts and one example of each.

Examples do not depend on the order in which files were read: the one that is kept is the first by key and line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

# code -> what is true of each thing that is counted under it
CODES = {
    "key_malformed": "an object stands among the files and its key is none of the contract",
    "hour_differs": "date and hour of the folders are not those of the file's stamp",
    "file_empty": "a file holds no records",
    "file_gone": "a file was listed and could not be found when it was read",
    "file_unreadable": "a file could not be read to its end",
    "not_gzip": "a file is no gzip",
    "gzip_cut": "the gzip stream of a file is cut short",
    "gzip_trailing": "octets follow the gzip member of a file: another member, or something else",
    "text_too_large": "a file holds more text than a receiver inflates",
    "line_too_long": "a line is longer than readers of JSON take",
    "utf8_invalid": "a line or an event holds text that is no UTF-8",
    "bom": "a line begins with a byte order mark",
    "crlf": "a line ends with a carriage return",
    "json_invalid": "a line is no JSON",
    "not_object": "a line is JSON and no object",
    "field_missing": "a required field is missing",
    "field_type": "a field has another type than the contract gives it",
    "id_malformed": "an id is not as the contract has it",
    "version_unknown": "a record has another schema version than 1",
    "uuid_malformed": "an id of a fan is no UUID",
    "operation_unknown": "an operation is none of create, update and delete",
    "time_malformed": "a time is no instant in UTC",
    "emitted_implausible": "a record says that it was emitted over a day before or after its file's stamp",
    "time_implausible": "an event's time lies before 1970, or over a day after it was emitted",
    "zone_unknown": "a time zone is none of the IANA's",
    "id_differs": "an id was delivered before with other content",
    "not_avro": "a file is no Avro container",
    "avro_cut": "an Avro container is cut short",
    "header_too_large": "the header of an Avro container is larger than readers take",
    "codec_unknown": "an Avro container has a codec that Avro does not know",
    "schema_unresolved": "the schema of an Avro container does not resolve to one of events",
    "schema_differs": "files under one schema id hold different schemas",
    "block_too_large": "a block of an Avro container is larger than readers take",
    "block_broken": "a block of an Avro container cannot be read with its schema",
    "sync_differs": "a block of an Avro container does not end with its sync marker",
    "events_too_many": "a file holds more events than the contract's largest threshold",
    "offset_repeated": "two files of one event type, hour and partition have the same offset",
    "manifest_malformed": "an object stands where manifests stand and is none",
    "manifest_file_missing": "a manifest names a file that is not there",
    "manifest_file_differs": "a file has other bytes, records or hashes than its manifest says",
    "manifest_file_repeated": "two manifests name the same file",
    "manifest_file_unnamed": "a file is named by no manifest, and its dataset has manifests of that time",
    "manifest_missing": "a manifest names one before it that is not there",
    "manifest_differs": "a manifest has other bytes than the one after it says, and its files are not as it says",
    "manifest_forked": "two manifests name the same one before them",
}
# what breaks no contract
NOTICES = {
    "manifest_replaced": "a manifest has other bytes than the one after it says, and its files are as it says",
}


MANIFESTS = "manifests"  # the dataset of breaches of manifests
_BETWEEN = "\0"  # a place and a dataset in one name


@dataclass(frozen=True, order=True)
class Example:
    """Where a breach was met: the object's key, the line's or event's number from 1 (0: the whole object), and what was found."""

    key: str
    line: int
    found: str


@dataclass(frozen=True)
class Breach:
    """All breaches of one code in one dataset. ``message`` is the sentence of ``CODES``, or of a loader's lint.

    ``place`` is that of the dataset; both are empty where an object of a contract belongs to none.
    """

    code: str
    place: str
    dataset: str
    message: str
    count: int
    example: Example


@dataclass(frozen=True)
class HeldDataset:
    """A dataset or event type: what was found of it. ``read`` files were read, the others only listed.

    ``place`` is where it lies below the URL: the prefix before ``exports``, or the folder of an integration.

    ``records``, ``text_bytes`` and ``repeats`` (records that repeat an equal one) are those of the files that were read;
    ``first`` and ``last`` are hours in UTC. ``breaches`` counts what is wrong. ``uncompared`` are records with the id of another
    one that were not held against it: there are too many of that id or of such ids, or they could not be read again.
    """

    place: str
    dataset: str
    files: int
    read: int
    records: int
    repeats: int
    bytes: int
    text_bytes: int
    first: datetime
    last: datetime
    breaches: int
    uncompared: int = 0


@dataclass(frozen=True)
class Conformed:
    """The report. ``manifests`` were read; ``others`` are objects of which the contracts do not speak.

    ``notices`` break no contract.
    """

    datasets: tuple[HeldDataset, ...]
    breaches: tuple[Breach, ...]
    manifests: int
    others: int
    notices: tuple[Breach, ...] = ()


def name_of(place: str, dataset: str) -> str:
    """The name of a dataset inside of a run: one text, which every database takes."""
    # half of a character becomes its escape
    return f"{place}{_BETWEEN}{dataset}".encode("utf-8", "backslashreplace").decode()


def place_and_dataset(name: str) -> tuple[str, str]:
    """Place and dataset of a name."""
    place, _, dataset = name.rpartition(_BETWEEN)
    return place, dataset


class Tally:
    """Counts breaches by dataset and code. Memory grows with the kinds of breaches, not with their number."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Breach] = {}

    def add(
        self, name: str, code: str, key: str, line: int, found: str, *, count: int = 1, message: str = ""
    ) -> None:
        """One more in the dataset of that name, or ``count`` of them with the first as an example."""
        message = message or CODES[code]
        self.take([Breach(code, *place_and_dataset(name), message, count, Example(key, line, found))])

    def take(self, breaches: Iterable[Breach]) -> None:
        """Adds counts that were made elsewhere."""
        for each in breaches:
            kind = (each.place, each.dataset, each.code)
            known = self._found.get(kind)
            self._found[kind] = each if known is None else _both(known, each)

    def breaches(self) -> tuple[Breach, ...]:
        """All of them, by place and dataset, in the order of ``CODES``, those of loaders after them; manifests come last."""
        order = {code: place for place, code in enumerate(CODES)}

        def where(each: Breach) -> tuple[bool, str, str, int, str]:
            rank = order.get(each.code, len(order))
            return (each.dataset == MANIFESTS, each.place, each.dataset, rank, each.code)

        return tuple(sorted(self._found.values(), key=where))


def _both(one: Breach, other: Breach) -> Breach:
    return replace(one, count=one.count + other.count, example=min(one.example, other.example))
