"""Credentials for tables in a bucket, from the SDKs' own chains: S3's by boto3, the others' by what the environment names.

Promises that no answer waits for a server that is not there: object_store, below ``deltalake`` and ``obstore``, would ask
a metadata service for minutes. The values are secrets: they go into the libraries' options and nowhere else.
"""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import urlsplit

from rover_spark.config.access import TableAccess

_ENVIRON = os.environ  # noqa: TID251 - secrets stay out of the settings; the SDKs read them here, too
_AGAIN_SECONDS = (
    60  # after so long the chain is asked again where it gave none, or keys that do not renew themselves
)
_AWS_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_GOOGLE = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY")
_GCLOUD = "~/.config/gcloud/application_default_credentials.json"
_HARDWARE = "/sys/class/dmi/id/product_name"  # on Google's machines their metadata service has credentials
_AZURE_KEYS = {
    "AZURE_STORAGE_KEY": "azure_storage_account_key",
    "AZURE_STORAGE_ACCOUNT_KEY": "azure_storage_account_key",
    "AZURE_STORAGE_SAS_TOKEN": "azure_storage_sas_key",
}
_AZURE_IDENTITIES = ("AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT", "MSI_ENDPOINT")
_missing: dict[str | None, float] = {}
_sessions: dict[str | None, tuple[float, Any]] = {}


class NoCredentials(Exception):
    """There are none, or they cannot be used: the message says why, and holds no secret."""


class ChainFailed(NoCredentials):
    """There may be some, but the chain or the environment is broken."""


def of_aws(access: TableAccess) -> dict[str, str]:
    """Keys, region and endpoint for S3. Raises NoCredentials, ChainFailed."""
    region, endpoint, keys = access.region, access.endpoint, None
    try:
        from botocore.session import get_session as _  # noqa: F401 - boto3 is an extra
    except ModuleNotFoundError:
        if access.profile:
            raise NoCredentials("tables.profile needs boto3: pip install 'rover_spark[s3]'") from None
        keys = tuple(_ENVIRON.get(name.upper(), "") for name in _AWS_KEYS)
        region = region or _ENVIRON.get("AWS_REGION") or _ENVIRON.get("AWS_DEFAULT_REGION")
        endpoint = endpoint or _endpoint_of_environment()
    else:
        keys, theirs, address = _by_boto(access.profile)
        region, endpoint = region or theirs, endpoint or address
    if not all(keys[:2]):
        raise NoCredentials("the SDK's chain finds no credentials for S3")
    options = {name: value for name, value in zip(_AWS_KEYS, keys, strict=True) if value}
    options["aws_region"] = region or "us-east-1"
    options["aws_conditional_put"] = "etag"
    _require_no_other(endpoint)
    if endpoint:
        if urlsplit(endpoint).username is not None:
            raise ChainFailed("the endpoint in the environment holds a user name or password")
        options |= {"aws_endpoint_url": endpoint, "aws_virtual_hosted_style_request": "false"}
        if endpoint.startswith("http://"):
            options["allow_http"] = "true"
    return options


def _by_boto(profile: str | None) -> tuple[tuple[str, ...], str | None, str | None]:
    """Keys, region and endpoint as boto3 finds them. Where it finds no keys, it is asked again a minute later."""
    from botocore.credentials import RefreshableCredentials
    from botocore.exceptions import BotoCoreError, ClientError

    nothing: tuple[tuple[str, ...], None, None] = ("", "", ""), None, None
    if time.monotonic() < _missing.get(profile, 0.0):
        return nothing
    try:
        made, session = _boto_session(profile)
        found = session.get_credentials()
        if not isinstance(found, RefreshableCredentials) and time.monotonic() > made + _AGAIN_SECONDS:
            _sessions.pop(profile, None)  # their file may hold others by now
            _, session = _boto_session(profile)
            found = session.get_credentials()
        if found is None:
            _sessions.pop(profile, None)
            _missing[profile] = time.monotonic() + _AGAIN_SECONDS
            return nothing
        frozen = found.get_frozen_credentials()  # renews what is about to expire
        address, region = _configured_endpoint(session), session.get_config_variable("region")
    except (BotoCoreError, ClientError) as error:
        answer = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
        raise ChainFailed(f"the SDK's chain gives no credentials for S3: {answer}") from None
    return (frozen.access_key, frozen.secret_key, frozen.token or ""), region, address


def _boto_session(profile: str | None) -> tuple[float, Any]:
    """One session, and when it was made: credentials of a role renew themselves in it."""
    from botocore.session import get_session

    if profile not in _sessions:
        session = get_session()
        if profile:
            session.set_config_variable("profile", profile)
        _sessions[profile] = time.monotonic(), session
    return _sessions[profile]


def _configured_endpoint(session: Any) -> str | None:
    """In the order of the SDK's clients; the session itself does not know it."""
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    profile = session.get_scoped_config()
    service = session.full_config.get("services", {}).get(profile.get("services"), {}).get("s3", {})
    found: str | None = (
        _endpoint_of_environment() or service.get("endpoint_url") or profile.get("endpoint_url")
    )
    return found


def _endpoint_of_environment() -> str | None:
    return _ENVIRON.get("AWS_ENDPOINT_URL_S3") or _ENVIRON.get("AWS_ENDPOINT_URL")


def _require_no_other(endpoint: str | None) -> None:
    """Raises ChainFailed where ``deltalake`` and ``obstore`` would take a server from the environment, and not this one.

    A variable for S3 goes before the option that they get; without the option they look at the others.
    """
    meant = (endpoint or "").rstrip("/")
    for name in ("AWS_ENDPOINT_URL_S3", *(() if endpoint else ("AWS_ENDPOINT_URL", "AWS_ENDPOINT"))):
        theirs = _ENVIRON.get(name, "").rstrip("/")
        if theirs and theirs != meant:
            raise ChainFailed(
                f"{name} names another server than is meant, and deltalake would go there: unset it"
            )


def of_google() -> dict[str, str]:
    """Nothing: both libraries find them by themselves where there are any. Raises NoCredentials where there are none."""
    if any(_ENVIRON.get(name) for name in _GOOGLE) or os.path.exists(os.path.expanduser(_GCLOUD)):
        return {}
    try:
        with open(_HARDWARE, encoding="utf-8") as file:
            if file.read().startswith("Google"):
                return {}
    except OSError:
        pass
    raise NoCredentials("no application default credentials of Google, and this is no machine of Google's")


def of_azure() -> dict[str, str]:
    """The account's key or SAS; nothing for an identity that both libraries find. Raises NoCredentials."""
    keys = {option: _ENVIRON[name] for name, option in _AZURE_KEYS.items() if _ENVIRON.get(name)}
    if not keys and not any(_ENVIRON.get(name) for name in _AZURE_IDENTITIES):
        raise NoCredentials("the environment names no key or identity for Azure")
    return keys
