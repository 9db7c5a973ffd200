"""How one monitoring server is reached: address, credentials, certificates, tenant. The same for Alertmanager.

It reads nothing by itself: whose settings these are, and what their variables are called, is said where they are used.
"""

import re
import ssl
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from klepaas.errors import Unavailable
from klepaas.output.redaction import vault

__all__ = ["Access", "checked_url"]

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE = re.compile(r"[\t\x20-\x7e]{0,4096}")
_OURS = frozenset(["host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"])
_TENANT = "X-Scope-OrgID"
CREDENTIALS_MAX_BYTES = 64 * 1024
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def checked_url(value: str) -> str:
    """An address without a final slash.

    Raises:
        ValueError: It is no address of a server, or holds what does not belong into one.
    """
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not an address that begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds credentials: give them as username and password")
    if parts.query or parts.fragment:
        raise ValueError("has a query or a fragment: only the address is wanted")
    return value.rstrip("/")


class Access(BaseModel):
    """One server.

    Attributes:
        url: Its address, up to what stands before `/api`.
        bearer_token: A token that is sent to it.
        credentials_file: A file with such a token, read before each request, so that it may be renewed.
        username: For basic authentication.
        password: For basic authentication.
        headers: More headers; their values are taken for secrets.
        org_id: The tenant (`X-Scope-OrgID`) of Mimir, Thanos, Cortex.
        ca_file: The authority of its certificate. None: those of the system.
        cert_file: The certificate that it asks of clients.
        key_file: That certificate's key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, AfterValidator(checked_url)]
    bearer_token: SecretStr | None = None
    credentials_file: Path | None = None
    username: str | None = None
    password: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    org_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9!._*'()|-]{1,150}$")
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            if not _HEADER.fullmatch(name) or name.lower() in _OURS:
                raise ValueError("names a header that cannot be set")
            if not _VALUE.fullmatch(secret.get_secret_value()):
                raise ValueError("has a header with a value that cannot be sent")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        ways = (self.bearer_token, self.credentials_file, self.username)
        if sum(way is not None for way in ways) > 1:
            raise ValueError("names more than one of bearer_token, credentials_file and username")
        if (self.username is None) != (self.password is None):
            raise ValueError("names only one of username and password")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("names only one of cert_file and key_file")
        for secret in (self.bearer_token, self.password, *self.headers.values()):
            if secret is not None:
                vault.keep(secret.get_secret_value())
        return self

    @property
    def is_open(self) -> bool:
        """Whether credentials go to another machine without TLS."""
        parts = urlsplit(self.url)
        secret = self.bearer_token or self.credentials_file or self.username or self.headers
        return bool(secret) and parts.scheme == "http" and parts.hostname not in _LOOPBACK

    def tls(self) -> ssl.SSLContext:
        """What its certificate is checked by. Reads files, so call it in a thread.

        Raises:
            Unavailable: A file cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
            if self.cert_file is not None:
                context.load_cert_chain(str(self.cert_file), str(self.key_file), password=_no_password)
        except (OSError, ValueError) as exc:
            raise Unavailable(
                f"The certificates for {self.url} cannot be loaded", next_step="Correct ca_file, cert_file or key_file"
            ) from exc
        return context

    def request_headers(self) -> dict[str, str]:
        """The headers that carry credentials and tenant. May read a file, so call it in a thread.

        Raises:
            Unavailable: The credentials file cannot be used.
        """
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        if self.org_id is not None:
            headers[_TENANT] = self.org_id
        token = self._token()
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        elif self.username is not None and self.password is not None:
            headers["Authorization"] = _basic(self.username, self.password.get_secret_value())
        return headers

    def _token(self) -> str | None:
        if self.bearer_token is not None:
            return self.bearer_token.get_secret_value()
        if self.credentials_file is None:
            return None
        try:
            with self.credentials_file.expanduser().open("rb") as file:
                token = file.read(CREDENTIALS_MAX_BYTES).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise Unavailable(
                "The credentials file cannot be read", next_step=f"Look at {self.credentials_file}"
            ) from exc
        if not token or not _VALUE.fullmatch(token):
            raise Unavailable("The credentials file holds no token", next_step=f"Look at {self.credentials_file}")
        vault.keep(token, renewal_of=str(self.credentials_file))
        return token


def _basic(username: str, password: str) -> str:
    import base64

    encoded = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    vault.keep(encoded)
    return f"Basic {encoded}"


def _no_password() -> str:
    # Without this, OpenSSL would ask the terminal.
    raise ValueError("the key is encrypted")
