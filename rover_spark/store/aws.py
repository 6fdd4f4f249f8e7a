"""How S3 is reached: one client a process, a role's credentials that renew themselves, and what its errors mean."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import ClientError
from botocore.session import get_session

from rover_spark.access import Access

# what S3 or botocore says -> what to do about it
REMEDIES = {
    "AccessDenied": "Grant the role s3:PutObject and s3:AbortMultipartUpload on bucket/prefix/*, and the use of the KMS key.",
    "403": "Grant the role s3:GetObject on bucket/prefix/*, or set store.can_read = false.",
    "NoSuchBucket": "Correct the bucket's name in destination.",
    "InvalidAccessKeyId": "Correct the credentials that the SDK's chain finds.",
    "SignatureDoesNotMatch": "Correct the credentials that the SDK's chain finds.",
    "ExpiredToken": "Renew the credentials, or set store.role_arn: a role's are renewed by themselves.",
    "RequestTimeTooSkewed": "Set the clock of this machine.",
    "NoCredentialsError": "Give the SDK credentials: an instance role, a profile, or AWS_ACCESS_KEY_ID and its secret.",
    "ProfileNotFound": "Correct store.profile, or write that profile into the SDK's configuration.",
}


@lru_cache(maxsize=8)
def client(access: str) -> Any:
    """One client a process and access: a worker keeps it from task to task. Clients are safe in threads."""
    wanted = Access.model_validate_json(access)
    session = get_session()
    if wanted.profile:
        session.set_config_variable("profile", wanted.profile)
    if wanted.role_arn:
        session._credentials = _assumed(session, wanted)
    config = Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 5},
        max_pool_connections=32,
        user_agent_extra="rover_spark",
    )
    made = boto3.Session(botocore_session=session)
    return made.client("s3", region_name=wanted.region, endpoint_url=wanted.endpoint, config=config)


def _assumed(session: Any, wanted: Access) -> DeferredRefreshableCredentials:
    """Credentials of the role, renewed before they expire, however long the run is."""
    more = {"RoleSessionName": "rover_spark"}
    if wanted.external_id:
        more["ExternalId"] = wanted.external_id
    fetcher = AssumeRoleCredentialFetcher(
        session.create_client, session.get_credentials(), wanted.role_arn, extra_args=more
    )
    return DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)


def error_code(error: Exception) -> str:
    """S3's own word for what went wrong, or the name of the SDK's error; never text that could hold a secret."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))[:60]
    return type(error).__name__


def other_region(error: Exception) -> str | None:
    """The region in which the bucket lies, where S3 says that it is not the one asked."""
    if not isinstance(error, ClientError):
        return None
    if error_code(error) not in {
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "301",
        "IllegalLocationConstraintException",
    }:
        return None
    with suppress(KeyError):
        headers: dict[str, str] = error.response["ResponseMetadata"]["HTTPHeaders"]
        return headers.get("x-amz-bucket-region") or error.response["Error"].get("Region")
    return None
