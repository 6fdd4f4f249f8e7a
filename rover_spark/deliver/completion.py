"""The completion manifest of a batch: staged with its files, visible after the last of them, the same bytes each time.

It is made of the plan and the staged files alone. Its other forms, where the plan asks for them, become visible before it:
whoever sees the manifest sees all of the batch.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rover_spark.config.access import Access
from rover_spark.contract.manifest_forms import form
from rover_spark.contract.manifests import Completion, DeliveredFile, key_of, text, token_of
from rover_spark.deliver.publish import overwrite, publish
from rover_spark.errors import StoreError
from rover_spark.model.file import StagedFile
from rover_spark.model.plan import Plan
from rover_spark.produce.port import Announced, announced, moment
from rover_spark.store import Store, open_store, prefix_of, staged_whole


class CompletionManifests:
    """Stages and publishes the manifests of plans, each at the place that its plan pins; ``access`` says how it is reached.

    What it stages is in the order in which it becomes visible. It holds no records: counts of a batch are those of its files.
    """

    def __init__(self, access: Callable[[str], Access]) -> None:
        self._access = access

    def stage(self, plan: Plan, files: Sequence[StagedFile]) -> tuple[StagedFile, ...]:
        """The manifest of these files, its other forms before it; nothing where the plan has none, or the batch no files.

        Raises:
            StoreError: nothing of it stays staged.
        """
        if plan.manifests is None or not files:
            return ()
        store, staged = self._store(plan), list[StagedFile]()
        attempt = uuid.uuid4().hex  # noqa: TID251 - used in staging names only
        try:
            for part, (key, octets) in enumerate(_objects(plan, files)):
                one = staged_whole(store.stage(key, plan.batch, attempt), key, octets)
                staged.append(replace(one, records=0, part=part))
        except StoreError:
            store.abort(file.staged for file in staged)
            raise
        return tuple(staged)

    def publish(self, plan: Plan, staged: Sequence[StagedFile]) -> bool:
        """Makes it visible, one object after the other; False where staged bytes are gone: it is to be staged again then.

        Raises:
            KeyTaken, PublishUnknown: what comes after stays as it is.
        """
        return not any(publish(self._store(plan), [file]) for file in staged)

    def overwrite(self, plan: Plan, staged: Sequence[StagedFile]) -> None:
        """Puts it at its keys whatever is there, one object after the other."""
        for file in staged:
            overwrite(self._store(plan), [file])

    def abort(self, plan: Plan, staged: Sequence[StagedFile]) -> None:
        """Removes what was staged of it."""
        if staged:
            self._store(plan).abort(file.staged for file in staged)

    def _store(self, plan: Plan) -> Store:
        assert plan.manifests is not None
        place = plan.manifests.place
        return open_store(place, plan.export, self._access(place))


def completion(plan: Plan, files: Sequence[StagedFile], says: Announced) -> Completion:
    """What the manifest says; the files are in ascending order of their keys, as they are published."""
    assert plan.manifests is not None
    return Completion(
        contract=plan.contract,
        export=plan.export,
        batch=plan.batch,
        dataset=says.dataset,
        event_types=says.event_types,
        phase=plan.phase,
        epoch=plan.epoch,
        emitted_at=moment(plan.instant),
        window=says.window,
        columns=says.columns,
        key=says.key,
        event_time=says.event_time,
        files=tuple(_delivered(file, says) for file in sorted(files, key=lambda file: file.key)),
        previous=plan.manifests.previous,
    )


def _delivered(file: StagedFile, says: Announced) -> DeliveredFile:
    event_type, schema_id = says.of_file(file.key)
    return DeliveredFile(
        file.key,
        file.records,
        file.bytes,
        file.sha256,
        file.raw_bytes,
        file.raw_sha256,
        event_type,
        schema_id,
    )


def _objects(plan: Plan, files: Sequence[StagedFile]) -> Iterator[tuple[str, bytes]]:
    """Keys and octets in the order in which they become visible: the manifest comes last."""
    assert plan.manifests is not None
    says = announced(plan)
    found = completion(plan, files, says)
    root = prefix_of(plan.manifests.place)
    token = token_of(plan.contract, plan.export, plan.epoch, plan.dataset, plan.batch)

    def key(name: str | None = None) -> str:
        return key_of(root, says.folder, found.emitted_at, token, name)

    for name in plan.manifests.formats:
        yield key(name), form(name, found, plan.destination, prefix_of(plan.destination))
    yield key(), text(found)
