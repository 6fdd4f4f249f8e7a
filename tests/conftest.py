"""What every test may ask for: one Spark session for the whole run, small and silent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.crash.undisturbed import below_a_prefix, delivered, undisturbed, whole
from tests.proxy import Conditional
from tests.servers import ENVIRONMENT, azure_server, gcs_server, s3_server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


__all__ = ["below_a_prefix", "delivered", "undisturbed", "whole"]

settings.register_profile("machines_are_noisy", deadline=None)
settings.load_profile("machines_are_noisy")


# before any JVM starts: the workers inherit it
os.environ.update(ENVIRONMENT)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a real S3 server."""
    with s3_server(tmp_path_factory.mktemp("s3")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a real Azure Blob server."""
    with azure_server(tmp_path_factory.mktemp("azure")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a Google Cloud Storage server that keeps the conditions of a rewrite."""
    with gcs_server(tmp_path_factory.mktemp("gcs")) as endpoint, Conditional(endpoint) as proxy:
        yield proxy.endpoint


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A local session with Delta; a test that uses it gets the marker `spark`."""
    from rover_spark.deliver import journal
    from rover_spark.demo import SESSION
    from rover_spark.face.session import build_session

    # a machine that is slow today changes no test: those of the journal say when it is written
    journal.EVERY = 3600.0
    home = tmp_path_factory.mktemp("spark")
    session = build_session(
        "rover_spark tests",
        conf={
            **SESSION,
            "spark.master": "local[2]",
            "spark.sql.catalogImplementation": "in-memory",
            "spark.sql.warehouse.dir": str(home / "warehouse"),
            "spark.local.dir": str(home / "local"),
            "spark.ui.enabled": "false",
        },
    )
    yield session
    session.stop()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--full` also runs what takes too long for every change."""
    parser.addoption("--full", action="store_true", help="run the tests marked full, too (make test-full)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`-m "not spark"` leaves out every test that asks for the session: nobody has to remember the marker."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)
    if not config.getoption("--full"):
        left_out = [item for item in items if "full" in item.keywords]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="module")
def no_traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A kernel as on a new machine: no settings of the user's, no font cache yet; nothing is left at home."""
    home = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
            patch.setenv(name, str(home / name))
        yield
