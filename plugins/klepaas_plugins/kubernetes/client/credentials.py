"""From a context of the kubeconfig to what a connection needs: address, TLS and headers.

What a kubeconfig may make klepaas do is checked first, on the kubeconfig as it is written. Then its credential plugin
runs, where it has one, and the kubernetes package finds the rest in a thread: see `finding`. Impersonation is added
here, because the package ignores it: the context would act with more rights than its owner gave it.

Source: Kubernetes documentation, "kubeconfig (v1)": Cluster, AuthInfo; "User impersonation".
"""

import hashlib
import re
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from klepaas.errors import Forbidden
from klepaas.outbound import Proxy, UnusableProxy, proxy_at, proxy_for
from klepaas.output.redaction import vault
from klepaas.resilience import NotSent
from klepaas_plugins.kubernetes.client import exec_plugins
from klepaas_plugins.kubernetes.client.exec_plugins import ExecCredential
from klepaas_plugins.kubernetes.client.finding import Found, broken, found, needs_plugin
from klepaas_plugins.kubernetes.client.kubeconfig import Entry
from klepaas_plugins.kubernetes.client.tls import UnusableTls, tls_context

__all__ = ["Connection", "check_before_loading", "load"]

# Files are read again after this long: the kubelet rewrites a service account's token, and others their certificates.
FILES_FRESH_S = 60.0
# A credential is renewed this long before it ends, but a plugin is never asked more often than the pause.
RENEW_BEFORE_S = 30.0
PLUGIN_PAUSE_S = 5.0
FINDING_TIMEOUT_S = 10.0
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$&'*+.^_`|~-]")
_HEADER_TEXT = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True)
class Connection:
    """How to reach and convince an API server.

    Attributes:
        server: The server's address, without a slash at the end.
        tls: The TLS settings.
        headers: Headers that carry the credentials.
        proxy: The proxy on the way: the context's own, else the environment's. None: none.
        renew_at: When to load again, in seconds since the epoch. None: never.
        renewable: Whether loading again may give other credentials.
        way: A digest of all but the headers: the same way can go on with the same client.
    """

    server: str
    tls: ssl.SSLContext = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    proxy: Proxy | None
    renew_at: float | None
    renewable: bool
    way: bytes = field(repr=False)

    @property
    def is_stale(self) -> bool:
        """Whether it is time to load it again."""
        return self.renew_at is not None and time.time() >= self.renew_at


def check_before_loading(entry: Entry, allowed_plugins: Sequence[str] = ()) -> None:
    """Refuse what a kubeconfig may not make klepaas do. Looks at the kubeconfig only; opens and runs nothing.

    Args:
        entry: The context.
        allowed_plugins: Further credential plugins that the operator allows.

    Raises:
        Forbidden: The context names a credential plugin that may not run, or a legacy auth-provider.
        BadRequest: The server's or the proxy's address is not one.
    """
    if entry.user.get("auth-provider"):
        raise Forbidden(
            f"klepaas does not use the legacy auth-provider of context {entry.context}",
            next_step="Have the provider's command line write the kubeconfig again, with a credential plugin "
            "(kubelogin for OIDC)",
        )
    plugin = entry.user.get("exec")
    if plugin:
        exec_plugins.check(plugin if isinstance(plugin, dict) else {}, entry.context, allowed_plugins, entry.user_dir)
    _check_server(entry)
    _check_proxy(entry)


async def load(entry: Entry, allowed_plugins: Sequence[str] = ()) -> Connection:
    """Load a context's credentials.

    Args:
        entry: The context.
        allowed_plugins: Further credential plugins that the operator allows.

    Raises:
        Forbidden: See `check_before_loading`.
        BadRequest: Something in the context cannot be read.
        Unauthorized: The credential plugin gives nothing.
        NotSent: The credential plugin does not end, or a file cannot be read in time.
    """
    check_before_loading(entry, allowed_plugins)
    given = None
    if needs_plugin(entry):
        given = await exec_plugins.run(
            entry.user["exec"],
            entry.context,
            entry.user_dir,
            entry.cluster,
            kubeconfig=entry.user_file,
            extra=allowed_plugins,
        )
    try:
        with anyio.fail_after(FINDING_TIMEOUT_S):
            # A limiter of its own: contexts whose files are on a dead disk take no thread from the others.
            alone = anyio.CapacityLimiter(1)
            return await anyio.to_thread.run_sync(_connection, entry, given, abandon_on_cancel=True, limiter=alone)
    except TimeoutError:
        raise NotSent(
            f"The credentials of context {entry.context} took longer than {FINDING_TIMEOUT_S:g} s to read"
        ) from None


def _check_server(entry: Entry) -> None:
    server = str(entry.cluster.get("server") or "").rstrip("/")
    try:
        parts = urlsplit(server)
        bad = parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None
        bad = bad or bool(parts.query or parts.fragment) or parts.port == 0
    except ValueError:
        bad = True
    if bad:
        raise broken(entry, "the server's address must be http(s)://host[:port][/path], without a user or a query")


def _check_proxy(entry: Entry) -> None:
    try:
        _proxy(entry, str(entry.cluster.get("server") or ""))
    except UnusableProxy as exc:
        if entry.cluster.get("proxy-url"):
            raise broken(entry, exc.what) from None
        raise


def _proxy(entry: Entry, server: str) -> Proxy | None:
    """The context's own proxy goes before the environment's, and has no exceptions, as for client-go."""
    own = entry.cluster.get("proxy-url")
    return proxy_at(str(own), "its proxy-url") if own else proxy_for(server)


def _connection(entry: Entry, given: ExecCredential | None) -> Connection:
    with found(entry, given) as what:
        proxy = _proxy(entry, what.server)
        headers = [*_authorization(entry, what.authorization), *_impersonation(entry)]
        try:
            tls = tls_context(what.tls) if what.server.startswith("https") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        except UnusableTls as exc:
            raise broken(entry, str(exc)) from None
        return Connection(
            server=what.server,
            tls=tls,
            headers=headers,
            proxy=proxy,
            renew_at=_renew_at(given, from_files=what.from_files),
            renewable=given is not None or what.from_files,
            way=_way(what, proxy),
        )


def _renew_at(given: ExecCredential | None, *, from_files: bool) -> float | None:
    now = time.time()
    moments = [now + FILES_FRESH_S] if from_files and given is None else []
    if given is not None and given.expires_at is not None:
        moments.append(max(given.expires_at - RENEW_BEFORE_S, now + PLUGIN_PAUSE_S))
    return min(moments, default=None)


def _authorization(entry: Entry, header: str | None) -> list[tuple[str, str]]:
    if header is None:
        return []
    scheme, _, credential = header.partition(" ")
    credential = credential.strip()
    # The HTTP library quotes a header that it refuses, so a bad token is refused here.
    if not _VISIBLE.fullmatch(credential):
        raise broken(entry, "the token is empty or holds characters that no token has")
    vault.keep(credential, renewal_of=f"the credential of context {entry.context}")
    vault.keep(str(entry.user.get("password") or ""), renewal_of=f"the password of context {entry.context}")
    return [("Authorization", f"{scheme.capitalize()} {credential}")]


def _impersonation(entry: Entry) -> list[tuple[str, str]]:
    user = entry.user
    pairs = [("Impersonate-User", user.get("as")), ("Impersonate-Uid", user.get("as-uid"))]
    pairs += [("Impersonate-Group", group) for group in user.get("as-groups") or ()]
    extra = user.get("as-user-extra")
    for key, values in (extra if isinstance(extra, dict) else {}).items():
        pairs += [(f"Impersonate-Extra-{_header_key(str(key))}", value) for value in values or ()]
    headers = [(name, str(value)) for name, value in pairs if value]
    if not all(_VISIBLE.fullmatch(name) and _HEADER_TEXT.fullmatch(value) for name, value in headers):
        raise broken(entry, "the impersonated user holds characters that no header can")
    return headers


def _header_key(key: str) -> str:
    """A key of impersonation's extra, with what a header's name cannot hold (`/` above all) in percent."""
    return "".join(letter if _HEADER_NAME.fullmatch(letter) else _percent(letter) for letter in key)


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode())


def _way(what: Found, proxy: Proxy | None) -> bytes:
    tls = what.tls
    digest = hashlib.sha256(repr((what.server, proxy and proxy.url, tls.verify, tls.server_name)).encode())
    for name in (tls.authority, tls.certificate, tls.key):
        content = _content(name)
        digest.update(f"{len(content)}:".encode() + content)
    return digest.digest()


def _content(name: str | None) -> bytes:
    try:
        return Path(name).read_bytes() if name else b""
    except OSError:
        return b""
