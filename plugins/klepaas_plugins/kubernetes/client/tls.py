"""The TLS settings of a connection, from what a context names: files in, an `ssl.SSLContext` out.

They are client-go's where Python's differ: an authority need not be a root, and need not carry the extensions that
Python 3.13 asks for. Knows no kubeconfig. Blocks: it reads files.
"""

import ssl
from dataclasses import dataclass
from typing import Any

__all__ = ["TlsFiles", "UnusableTls", "tls_context"]


class UnusableTls(Exception):
    """What is in the way; the message quotes none of it."""


@dataclass(frozen=True)
class TlsFiles:
    """What a context says of TLS.

    Attributes:
        authority: The file of the authorities that alone are trusted. None: the system's are.
        certificate: The file of the client's certificate. None: it has none.
        key: The file of that certificate's key.
        verify: Whether the server's certificate is looked at.
        server_name: The name that it must hold. None: the address's own.
    """

    authority: str | None = None
    certificate: str | None = None
    key: str | None = None
    verify: bool = True
    server_name: str | None = None


class _Named(ssl.SSLContext):
    """Asks for, and checks, one name whatever the address is; also through a proxy, where httpcore would not."""

    server_name: str | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: Any = None,
    ) -> ssl.SSLObject:
        name = self.server_name or server_hostname
        return super().wrap_bio(incoming, outgoing, server_side, name, session)


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """The settings for a client.

    Raises:
        UnusableTls: A file does not hold what it should.
    """
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = files.server_name
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        if files.authority:
            context.load_verify_locations(files.authority)
        else:
            context.load_default_certs()
    except (ssl.SSLError, OSError, ValueError):
        raise UnusableTls("the certificate authority is not a PEM certificate") from None
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if files.certificate:
        _load_certificate(context, files.certificate, files.key)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    try:
        # An empty password: an encrypted key fails instead of asking on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError, ValueError):
        raise UnusableTls("the client certificate and key do not fit together or are encrypted") from None
