"""The ``[store]`` and ``[tables]`` parts of the settings: how a bucket and tables are reached, and what objects carry.

Promises that it holds no secret, so it may travel to executors and be logged. Refuses keys that look like one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_SECRET = re.compile(
    r"secret|token|password|credential|access_?key|account_?key|connection_?string|sas$", re.IGNORECASE
)
_TAG = re.compile(r"[\w +=.:/@-]+")
_MEANT_FOR = {
    "s3": ("region", "profile", "role_arn", "external_id", "encryption", "kms_key", "expected_owner", "tags"),
    "gs": ("impersonate", "staging"),
    "file": ("staging",),
    "az": ("tags",),
}


class Frozen(BaseModel):
    """Settings that do not change once they are read, and know no other keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reaching(Frozen):
    """How something in a cloud is reached. Refuses keys that look like a secret."""

    @model_validator(mode="before")
    @classmethod
    def _secrets(cls, tree: Any) -> Any:
        for name in tree if isinstance(tree, Mapping) else ():
            if _SECRET.search(str(name)):
                raise ValueError(
                    f"{name} is a secret, and none belongs into a configuration: set it in the environment, "
                    "or let the SDK find it (instance role, workload identity, its own credentials file)"
                )
        return tree


class TableAccess(Reaching):
    """How tables and a ledger by path are reached without Spark, and whether they are: "spark" leaves all to Spark.

    Driver and tasks use it: the one for logs and ledger, the others for data files whose columns are plain. Spark itself
    reads rows as its own settings say.
    """

    engine: Literal["auto", "spark"] = "auto"
    region: str | None = Field(None, min_length=1)
    endpoint: str | None = Field(None, pattern=r"^https?://[^\s@?#]+$")
    profile: str | None = Field(None, min_length=1)


class Access(Reaching):
    """How an object store is reached and what its objects carry. Never a secret: those stay with the SDK's own chain."""

    can_read: bool = False
    staging: str | None = Field(None, pattern=r"^(file|gs)://[^\s?#]+$")
    region: str | None = Field(None, min_length=1)
    endpoint: str | None = Field(None, pattern=r"^https?://[^\s@?#]+$")
    profile: str | None = Field(None, min_length=1)
    role_arn: str | None = Field(None, pattern=r"^arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]+$")
    impersonate: str | None = Field(None, pattern=r"^[\w.-]+@[\w.-]+$")
    external_id: str | None = Field(None, min_length=2, max_length=1224)
    encryption: Literal["AES256", "aws:kms"] | None = None
    kms_key: str | None = Field(None, min_length=1)
    expected_owner: str | None = Field(None, pattern=r"^\d{12}$")
    tags: dict[str, str] = Field({}, max_length=10)

    def misplaced(self, scheme: str) -> list[str]:
        """Settings that have no effect on such a destination."""
        allowed = {"can_read", *_MEANT_FOR.get(scheme, ())} | (
            {"endpoint"} if scheme in _MEANT_FOR and scheme != "file" else set()
        )
        return [name for name in self.model_fields_set if name not in allowed]

    @model_validator(mode="after")
    def _fits(self) -> Access:
        if self.external_id and not self.role_arn:
            raise ValueError("external_id: goes with role_arn, which is missing")
        for name, value in self.tags.items():
            if not (
                _TAG.fullmatch(name)
                and len(name) <= 128
                and _TAG.fullmatch(value or "-")
                and len(value) <= 256
            ):
                raise ValueError(
                    f"tags: {name}: only letters, digits, spaces and + - = . _ : / @ are allowed in a tag"
                )
        if self.kms_key and self.encryption == "AES256":
            raise ValueError('kms_key: belongs to encryption = "aws:kms"')
        return self
