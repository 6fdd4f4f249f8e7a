"""A directory as a bucket, where others put links into it: what they point to is listed, once round."""

from __future__ import annotations

from pathlib import Path

import pytest

from rover_spark.store.local import LocalStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere/inside").mkdir(parents=True)
    (tmp_path / "elsewhere/file").write_bytes(b"12345")
    (tmp_path / "elsewhere/inside/file").write_bytes(b"1234567")
    (tmp_path / "bucket/a").mkdir(parents=True)
    return tmp_path / "bucket"


def listed(root: Path, prefix: str = "") -> dict[str, int]:
    return {each.key: each.bytes for each in LocalStore(str(root), "x").listing(prefix)}


def test_a_link_has_the_size_of_what_it_points_to(root: Path) -> None:
    (root / "a/link").symlink_to(root.parent / "elsewhere/file")
    assert listed(root) == {"a/link": 5}
    with LocalStore(str(root), "x").read("a/link") as stream:
        assert len(stream.read()) == 5


def test_a_linked_directory_is_listed(root: Path) -> None:
    (root / "a/link").symlink_to(root.parent / "elsewhere")
    wanted = {"a/link/file": 5, "a/link/inside/file": 7}
    assert listed(root) == listed(root, "a/li") == listed(root, "a/link/") == wanted
    store = LocalStore(str(root), "x")
    assert list(store.folders("a/")) == ["a/link/"] and list(store.folders("a/link/")) == ["a/link/inside/"]


def test_links_that_lead_back_are_followed_once(root: Path) -> None:
    other = root.parent / "elsewhere"
    (root / "a/up").symlink_to(root)
    (root / "a/above").symlink_to(root.parent)
    (root / "a/link").symlink_to(other)
    (other / "back").symlink_to(root / "a")
    assert listed(root) == {"a/link/file": 5, "a/link/inside/file": 7}
    assert list(LocalStore(str(root), "x").folders("a/")) == ["a/link/"]
    assert list(LocalStore(str(root), "x").folders("a/link/")) == ["a/link/inside/"]


@pytest.mark.parametrize("target", ["link", "nowhere"])
def test_a_link_that_leads_nowhere_is_listed_and_cannot_be_read(root: Path, target: str) -> None:
    (root / "a/link").symlink_to(root / "a" / target)
    assert list(listed(root)) == ["a/link"]
    assert list(LocalStore(str(root), "x").folders("a/")) == []
    with pytest.raises(FileNotFoundError):
        LocalStore(str(root), "x").read("a/link")
