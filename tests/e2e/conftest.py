"""A fresh world, or a fresh stream, per test."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.e2e.filed import Filed
from tests.e2e.stream import Stream
from tests.e2e.world import World


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path) -> World:
    return World(spark, tmp_path)


@pytest.fixture
def stream(spark: SparkSession, tmp_path: Path) -> Stream:
    return Stream(spark, tmp_path)


@pytest.fixture
def filed(spark: SparkSession, tmp_path: Path) -> Filed:
    return Filed(spark, tmp_path)
