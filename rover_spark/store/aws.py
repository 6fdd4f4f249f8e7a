"""How S3 is reached: one client a process, a role's credentials that renew themselves, and what its errors mean."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.session import get_session

from rover_spark.config.access import Access
from rover_spark.errors import ConfigError
from rover_spark.store.base import UNREACHED, unreachable

# an error code of S3 or class of botocore -> what to do about it
REMEDIES = {
    "NoSuchBucket": "Correct the bucket's name in destination.",
    "InvalidAccessKeyId": "Correct the credentials that the SDK's chain finds.",
    "InvalidClientTokenId": "Correct the credentials that the SDK's chain finds.",
    "SignatureDoesNotMatch": "Correct the credentials that the SDK's chain finds.",
    "ExpiredToken": "Renew the credentials, or set store.role_arn: a role's are renewed by themselves.",
    "RequestTimeTooSkewed": "Set the clock of this machine.",
    "NoCredentialsError": "Give the SDK credentials: an instance role, a profile, or AWS_ACCESS_KEY_ID and its secret.",
    "ProfileNotFound": "Correct store.profile, or write that profile into the SDK's configuration.",
}
OF_CREDENTIALS = {
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
}
_ELSEWHERE = {
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "301",
    "IllegalLocationConstraintException",
    "InvalidRegion",
}
_LOOKING = "the role s3:GetObject on bucket/prefix/* and s3:ListBucket on the bucket"
# the operation that was refused -> who needs which permission for it
_PERMISSIONS = {
    "HeadObject": f"{_LOOKING}, or set store.can_read = false",
    "GetObject": f"{_LOOKING}, and kms:Decrypt on the KMS key",
    "ListObjectsV2": "the role s3:ListBucket on the bucket",
    "ListMultipartUploads": "the role s3:ListBucketMultipartUploads on the bucket",
    "AbortMultipartUpload": "the role s3:AbortMultipartUpload on bucket/prefix/*",
    "AssumeRole": "this identity sts:AssumeRole on store.role_arn, whose trust must name it and store.external_id",
}
_PUTTING = (
    "the role s3:PutObject on bucket/prefix/*, kms:GenerateDataKey and kms:Decrypt on the KMS key, "
    "and with store.tags s3:PutObjectTagging"
)


class AnswerCut(BotoCoreError):  # type: ignore[misc]  # botocore has no types
    """An answer that lacks a required field: the connection broke inside it, and the request may have succeeded."""

    fmt = "the answer was cut"


def remedy(error: Exception, otherwise: str) -> str:
    """What to do about an error; for a refusal, which permission to grant."""
    code = error_code(error)
    if code in {"AccessDenied", "403"}:
        return f"Grant {_PERMISSIONS.get(getattr(error, 'operation_name', ''), _PUTTING)}."
    if region := other_region(error):
        return f'Set store.region = "{region}".'
    if code in _ELSEWHERE:
        return "Set store.region to the bucket's own."
    if unreachable(error):
        return f"{UNREACHED} {otherwise}"
    return REMEDIES.get(code, otherwise)


def met(error: Exception, access: Access) -> str:
    """What went wrong; with the address and region where these may be the reason."""
    code, why = error_code(error), unreachable(error)
    if not why and code not in _ELSEWHERE:
        return code
    with suppress(BotoCoreError, ConfigError):
        made = client(access.model_dump_json())
        place, region = shown_address(made.meta.endpoint_url), made.meta.region_name
        if why:
            return f"{code}: {why}: {place}, region {region}"
        theirs = other_region(error)
        lies = f"the bucket lies in {theirs}" if theirs else "the bucket lies in another"
        return f"{code}: {place} was asked for region {region}, and {lies}"
    return code


def shown_address(endpoint: str) -> str:
    """The address without user name and password, which an address from the environment may hold."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@lru_cache(maxsize=8)
def client(access: str) -> Any:
    """One client per process and access; a worker keeps it across tasks. Clients are thread-safe."""
    wanted = Access.model_validate_json(access)
    session = get_session()
    if wanted.profile:
        session.set_config_variable("profile", wanted.profile)
    if wanted.region:  # a role is assumed there too
        session.set_config_variable("region", wanted.region)
    if (
        session.get_credentials() is None
    ):  # a client without credentials would stay in the cache and never look for them again
        raise NoCredentialsError
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
    try:
        return made.client("s3", region_name=wanted.region, endpoint_url=wanted.endpoint, config=config)
    except ValueError:
        raise ConfigError(
            "store.endpoint: the SDK takes no such address",
            code="config_invalid",
            remedy='Write it as "https://HOST:PORT"; a host\'s name holds letters, digits and hyphens.',
        ) from None


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
    """S3's error code, or the class of the SDK's error; never text that could hold a secret."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))[:60]
    return type(error).__name__


def other_region(error: Exception) -> str | None:
    """The region of the bucket, where S3 says that the request went to another one."""
    if not isinstance(error, ClientError):
        return None
    if error_code(error) not in _ELSEWHERE:
        return None
    with suppress(KeyError):
        headers: dict[str, str] = error.response["ResponseMetadata"]["HTTPHeaders"]
        return headers.get("x-amz-bucket-region") or error.response["Error"].get("Region")
    return None
