"""From a context of the kubeconfig to what a connection needs: address, TLS and headers.

Everything here blocks (files, a credential plugin) and runs in a thread. Key files that Python's TLS needs are
temporary, readable by the owner only, and gone when loading ends. The kubernetes package is not used: its loader keeps
decoded keys in files for the life of the process, runs any `cmd-path` of an `auth-provider`, and ignores `as`
(impersonation), with which a context would act with more rights than its owner gave it.

Source: client-go `tools/clientcmd/api/v1`: Cluster, AuthInfo.
"""

import base64
import binascii
import contextlib
import os
import re
import ssl
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from klepaas.errors import BadRequest, Forbidden, KlepaasError
from klepaas.output.redaction import vault
from klepaas_plugins.kubernetes.client import exec_plugins
from klepaas_plugins.kubernetes.client.kubeconfig import Entry

__all__ = ["Connection", "check_before_loading", "load"]

# A projected service account token is rewritten by the kubelet; kubectl reads it again every minute too.
TOKEN_FILE_FRESH_S = 60.0
# A credential is renewed this long before it ends.
RENEW_BEFORE_S = 30.0
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HEADER_TEXT = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True)
class Connection:
    """How to reach and convince an API server.

    Attributes:
        server: The server's address, without a slash at the end.
        tls: The TLS settings.
        headers: Headers that carry the credentials.
        proxy: A proxy's address. None: none.
        server_name: The name that the certificate must hold. None: the address's own.
        renew_at: When to load again, in seconds since the epoch. None: never.
        renewable: Whether loading again may give other credentials.
    """

    server: str
    tls: ssl.SSLContext = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    proxy: str | None = field(repr=False)
    server_name: str | None
    renew_at: float | None
    renewable: bool

    @property
    def is_stale(self) -> bool:
        """Whether it is time to load it again."""
        return self.renew_at is not None and time.time() >= self.renew_at


@dataclass(frozen=True)
class _Credential:
    headers: list[tuple[str, str]]
    certificate: tuple[bytes, bytes] | None = None
    renew_at: float | None = None
    renewable: bool = False


def check_before_loading(entry: Entry, allowed_plugins: Sequence[str] = ()) -> None:
    """Refuse what a kubeconfig may not make klepaas do. Looks at the kubeconfig only; opens and runs nothing.

    Args:
        entry: The context.
        allowed_plugins: Further credential plugins that the operator allows.

    Raises:
        Forbidden: The context names a credential plugin that may not run, or a legacy auth-provider.
        BadRequest: The server's address is not one.
    """
    if entry.user.get("auth-provider"):
        raise Forbidden(
            f"klepaas does not use the legacy auth-provider of context {entry.context}",
            next_step="Have the provider's command line write the kubeconfig again, with a credential plugin",
        )
    plugin = entry.user.get("exec")
    if plugin:
        exec_plugins.check(plugin if isinstance(plugin, dict) else {}, entry.context, allowed_plugins)
    _server(entry)


def load(entry: Entry, allowed_plugins: Sequence[str] = ()) -> Connection:
    """Load a context's credentials. Blocks: call it in a thread.

    Args:
        entry: The context.
        allowed_plugins: Further credential plugins that the operator allows.

    Raises:
        Forbidden: See `check_before_loading`.
        BadRequest: Something in the context cannot be read.
        Unauthorized: The credential plugin gives nothing.
        TimedOut: The credential plugin does not end.
    """
    check_before_loading(entry, allowed_plugins)
    server = _server(entry)
    credential = _credential(entry)
    proxy = entry.cluster.get("proxy-url")
    name = entry.cluster.get("tls-server-name")
    return Connection(
        server=server,
        tls=_tls(entry, credential.certificate)
        if server.startswith("https")
        else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        headers=[*credential.headers, *_impersonation(entry)],
        proxy=str(proxy) if proxy else None,
        server_name=str(name) if name else None,
        renew_at=credential.renew_at,
        renewable=credential.renewable,
    )


def _server(entry: Entry) -> str:
    server = str(entry.cluster.get("server") or "").rstrip("/")
    try:
        parts = urlsplit(server)
        bad = parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None
        bad = bad or bool(parts.query or parts.fragment) or (parts.port == 0)
    except ValueError:
        bad = True
    if bad:
        raise _broken(entry, "the server's address must be http(s)://host[:port][/path], without a user or a query")
    return server


def _credential(entry: Entry) -> _Credential:
    """As client-go orders them: a certificate always counts; then token file, token, plugin, user and password."""
    user = entry.user
    certificate = _own_certificate(entry)
    if user.get("tokenFile"):
        token = (
            _file(entry, entry.user_dir, str(user["tokenFile"]), "the token file").decode("utf-8", "replace").strip()
        )
        return _Credential([_bearer(entry, token)], certificate, time.time() + TOKEN_FILE_FRESH_S, True)
    if user.get("token"):
        return _Credential([_bearer(entry, str(user["token"]).strip())], certificate)
    if user.get("exec"):
        return _from_plugin(entry, certificate)
    if user.get("username"):
        vault.keep(str(user.get("password") or ""))
        pair = f"{user['username']}:{user.get('password') or ''}".encode()
        return _Credential([("Authorization", "Basic " + base64.b64encode(pair).decode())], certificate)
    return _Credential([], certificate)


def _from_plugin(entry: Entry, certificate: tuple[bytes, bytes] | None) -> _Credential:
    given = exec_plugins.run(entry.user["exec"], entry.context, entry.user_dir, entry.cluster)
    headers = [_bearer(entry, given.token)] if given.token else []
    pair = (given.certificate[0].encode(), given.certificate[1].encode()) if given.certificate else certificate
    # Never more often than every few seconds, whatever expiry the plugin claims.
    renew_at = None if given.expires_at is None else max(given.expires_at - RENEW_BEFORE_S, time.time() + 5)
    return _Credential(headers, pair, renew_at, True)


def _bearer(entry: Entry, token: str) -> tuple[str, str]:
    # The HTTP library quotes a header that it refuses, so a bad token is refused here.
    if not _VISIBLE.fullmatch(token):
        raise _broken(entry, "the token is empty or holds characters that no token has")
    vault.keep(token)
    return "Authorization", f"Bearer {token}"


def _impersonation(entry: Entry) -> list[tuple[str, str]]:
    user = entry.user
    pairs = [("Impersonate-User", user.get("as")), ("Impersonate-Uid", user.get("as-uid"))]
    pairs += [("Impersonate-Group", group) for group in user.get("as-groups") or ()]
    extra = user.get("as-user-extra")
    for key, values in (extra if isinstance(extra, dict) else {}).items():
        pairs += [(f"Impersonate-Extra-{key}", value) for value in values or ()]
    headers = [(name, str(value)) for name, value in pairs if value]
    if not all(_VISIBLE.fullmatch(name) and _HEADER_TEXT.fullmatch(value) for name, value in headers):
        raise _broken(entry, "the impersonated user holds characters that no header can")
    return headers


def _own_certificate(entry: Entry) -> tuple[bytes, bytes] | None:
    certificate = _file_or_data(entry, entry.user, entry.user_dir, "client-certificate")
    key = _file_or_data(entry, entry.user, entry.user_dir, "client-key")
    return (certificate, key) if certificate and key else None


def _file_or_data(entry: Entry, where: Mapping[str, Any], folder: Path, name: str) -> bytes | None:
    """What stands in the kubeconfig as `name-data` in base64, or in the file that `name` names."""
    if where.get(f"{name}-data"):
        try:
            return base64.b64decode(str(where[f"{name}-data"]))
        except (binascii.Error, ValueError):
            raise _broken(entry, f"{name}-data is not base64") from None
    return _file(entry, folder, str(where[name]), name) if where.get(name) else None


def _file(entry: Entry, folder: Path, path: str, what: str) -> bytes:
    try:
        return (folder / Path(path).expanduser()).read_bytes()
    except OSError as exc:
        raise _broken(entry, f"{what} cannot be read ({exc.strerror})") from exc


def _tls(entry: Entry, certificate: tuple[bytes, bytes] | None) -> ssl.SSLContext:
    authority = _file_or_data(entry, entry.cluster, entry.cluster_dir, "certificate-authority")
    try:
        # With an authority of its own, a cluster is trusted by that one only; without, by the system's.
        # What is not ASCII can only be a comment between the certificates.
        context = ssl.create_default_context(cadata=authority.decode("ascii", "ignore") if authority else None)
    except (ssl.SSLError, ValueError) as exc:
        raise _broken(entry, "the certificate authority is not a PEM certificate") from exc
    # Python 3.13 asks for extensions that the authorities of many clusters lack; client-go does not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if entry.cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        _load_certificate(entry, context, certificate)
    return context


def _load_certificate(entry: Entry, context: ssl.SSLContext, certificate: tuple[bytes, bytes]) -> None:
    handle, path = tempfile.mkstemp(prefix="klepaas-", suffix=".pem")  # mode 0600
    try:
        with open(handle, "wb") as file:
            file.write(certificate[0].rstrip() + b"\n" + certificate[1])
        # An empty password: an encrypted key fails instead of asking on the terminal.
        context.load_cert_chain(path, password="")
    except (ssl.SSLError, ValueError, OSError):
        raise _broken(entry, "the client certificate and key do not fit together or are encrypted") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _broken(entry: Entry, why: str) -> KlepaasError:
    return BadRequest(f"Context {entry.context} cannot be used: {why}", next_step="Correct the kubeconfig")
