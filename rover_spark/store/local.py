"""A directory as a bucket: local disks, NFS, mounted volumes. Every executor must see the same directory.

Staged files lie in ``_rover_staging/<export>/`` beside ``exports/``, in the same file system: publishing is one hard
link, which fails where the key exists. Where a file system has no hard links (FUSE mounts), it is a rename.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from rover_spark.errors import StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store.base import STAGING, Mine, ObjectInfo, staged_name
from rover_spark.store.outcome import OVERWRITE, PUBLISH, Answer, Seen, settle

_ANSWERS: dict[type[OSError], Answer] = {
    FileExistsError: Answer.NOT_FREE,
    FileNotFoundError: Answer.GONE,
}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class LocalStaging:
    """A temporary file; durable once finished."""

    def __init__(self, root: Path, reference: str) -> None:
        self._path = root / reference
        self._reference = reference
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file = self._path.open("xb")
        except FileNotFoundError:  # another task of the batch removed the directory when it was empty
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("xb")

    def write(self, data: bytes) -> None:
        """Appends bytes."""
        try:
            self._file.write(data)
        except OSError as error:
            raise _refused("stage", self._reference, error) from error

    def finish(self) -> str:
        """Flushes to disk and closes."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise _refused("stage", self._reference, error) from error
        _sync_directory(self._path.parent)
        return self._reference

    def abort(self) -> None:
        """Closes and removes the file."""
        with suppress(OSError):  # closing flushes the buffer
            self._file.close()
        _forget(self._path)

    def clock(self) -> datetime | None:
        """The file's modification time, by the clock of the file system, which may be on another machine."""
        with suppress(FileNotFoundError):
            return datetime.fromtimestamp(self._path.stat().st_mtime, timezone.utc)
        return None


class LocalStore:
    """Objects as files below ``root``; staged files lie there too, or below another directory beside it."""

    can_read = True
    unswept = ""
    untried = ""

    def __init__(self, root: str, export: str, staging: str = "") -> None:
        self._root = Path(root)
        self._beside = Path(staging or root)
        self._staging = f"{STAGING}/{export}"

    @property
    def prefix(self) -> str:
        """Empty: the directory itself is the prefix."""
        return ""

    def stage(self, key: str, batch: str, attempt: str) -> LocalStaging:
        """Begins a temporary file of this try's own."""
        try:
            return LocalStaging(self._beside, f"{self._staging}/{batch}/{staged_name(key, attempt)}")
        except OSError as error:
            raise _refused("stage", key, error) from error

    def publish(self, file: StagedFile) -> None:
        """Links the staged file to its key; a key that holds the same bytes is success."""
        answer, cause = self._put("publish", file, _link)
        looks = answer in {Answer.NOT_FREE, Answer.GONE}
        settle(PUBLISH, file, answer, cause, (lambda: self._look(file)) if looks else None)
        self._settled(file)

    def overwrite(self, file: StagedFile) -> None:
        """Renames the staged file over its key."""
        settle(OVERWRITE, file, *self._put("overwrite", file, Path.replace), None)
        self._settled(file)

    def _put(
        self, what: str, file: StagedFile, put: Callable[[Path, Path], object]
    ) -> tuple[Answer, StoreError | None]:
        source, target = self._inside(file.staged, self._beside), self._inside(file.key, self._root)
        try:
            self._make_directory(target.parent)
            put(source, target)
        except OSError as error:
            answer = _ANSWERS.get(type(error), Answer.UNCLEAR)
            return answer, _refused(what, file.key, error)
        return Answer.DONE, None

    def _look(self, file: StagedFile) -> Seen:
        target = self._inside(file.key, self._root)
        try:
            if not (target.is_symlink() or target.exists()):
                return Seen.FREE
            return Seen.EQUAL if _holds(target, file) else Seen.OTHER
        except OSError as error:
            raise _refused("look at", file.key, error) from error

    def _settled(self, file: StagedFile) -> None:
        _sync_directory(self._inside(file.key, self._root).parent)
        _forget(self._inside(file.staged, self._beside))

    def abort(self, staged: Iterable[str]) -> list[str]:
        """Unlinks staged files."""
        left = []
        for reference in staged:
            try:
                _forget(self._inside(reference, self._beside))
            except OSError:
                left.append(reference)
        return left

    def listing(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every file below the prefix's directory whose key begins with it; links are followed, but not round in a circle."""
        above, _, begin = prefix.rpartition("/")
        start = self._root / above

        def refuse(error: OSError) -> None:
            if not isinstance(
                error, (FileNotFoundError, NotADirectoryError)
            ):  # else it is gone, or was never there
                raise _refused("list", prefix, error) from error

        for folder, folders, names in os.walk(start, onerror=refuse, followlinks=True):
            if folder == str(start):  # no other directory can hold such a key
                folders[:] = [each for each in folders if each.startswith(begin)]
            folders[:] = [each for each in folders if not _leads_back(Path(folder, each))]
            for name in names:
                path = Path(folder, name)
                key = path.relative_to(self._root).as_posix()
                if key.startswith(prefix) and not key.startswith(f"{STAGING}/"):
                    with suppress(FileNotFoundError):
                        yield ObjectInfo(key, _size(path))

    def folders(self, prefix: str) -> Iterator[str]:
        """Directories directly inside of the prefix's directory."""
        try:
            names = [each.name for each in os.scandir(self._inside(prefix, self._root)) if _is_folder(each)]
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _refused("list", prefix, error) from error
        for name in sorted(names):
            if prefix or name != STAGING:
                yield f"{prefix}{name}/"

    def read(self, key: str) -> BinaryIO:
        """Opens the object."""
        if not (path := self._inside(key, self._root)).is_file():
            raise FileNotFoundError(key)
        return path.open("rb")

    def sweep(self, older_than: datetime, keep: frozenset[str], mine: Mine) -> list[str]:
        """Unlinks staged files by their modification time."""
        removed = []
        base = self._beside / self._staging
        for path in sorted(base.rglob("*")):
            reference = path.relative_to(self._beside).as_posix()
            with suppress(FileNotFoundError):
                if reference not in keep and path.is_file() and path.stat().st_mtime < older_than.timestamp():
                    _forget(path)
                    removed.append(reference)
        return removed

    def _inside(self, key: str, root: Path) -> Path:
        if ".." in PurePosixPath(key).parts or key.startswith("/"):
            raise StoreError(f"{key!r} is not a key below the destination", code="key_invalid")
        return root / key

    def _make_directory(self, directory: Path) -> None:
        missing = []
        while not directory.exists():
            missing.append(directory)
            directory = directory.parent
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            _sync_directory(each.parent)


def _size(path: Path) -> int:
    """The size of a file, or of what a link points to; of a link that points nowhere its own."""
    try:
        return path.stat().st_size
    except OSError:
        return path.lstat().st_size


def _is_folder(found: os.DirEntry[str]) -> bool:
    """Whether it is a directory, or a link to one that is listed."""
    if not found.is_symlink():
        return found.is_dir()
    return Path(found).is_dir() and not _leads_back(Path(found))


def _leads_back(path: Path) -> bool:
    """Whether a directory is a link to one that it lies in, by its own path or by that of a link above it."""
    return path.is_symlink() and path.resolve() in {each.resolve() for each in path.parents}


def _forget(staged: Path) -> None:
    staged.unlink(missing_ok=True)
    with suppress(OSError):
        staged.parent.rmdir()  # only where it is empty


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError(target) from None
        source.rename(target)


def _holds(target: Path, file: StagedFile) -> bool:
    if not target.is_file() or target.stat().st_size != file.bytes:
        return False
    digest = hashlib.sha256()
    with target.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == file.sha256


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # some mounted file systems cannot
            os.fsync(handle)
    finally:
        os.close(handle)


def _refused(what: str, key: str, error: OSError) -> StoreError:
    return StoreError(
        f"cannot {what} {key}: {error.strerror}{f': {error.filename}' if error.filename else ''}",
        code="store_refused",
        remedy="Check the destination's rights and free space, then run export again: it goes on where it stopped.",
    )
