"""What stands between a program that insists on TLS and a fake without: an HTTP proxy that ends the encryption itself.

The program is told to use it as its proxy and to trust its certificate authority, both made for one test.
"""

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from klepaas.testing.loopback import Listening

NAMES = ("slack.com", "*.slack.com", "edgeapi.slack.com")


class TlsFront(Listening):
    """The proxy.

    Args:
        target_port: Where what was encrypted goes.
        folder: A place for its certificates.

    Attributes:
        authority: The file with its certificate authority.
    """

    def __init__(self, target_port: int, folder: Path) -> None:
        super().__init__()
        self._target_port = target_port
        self.authority = folder / "authority.pem"
        self._context = _certified(self.authority, folder / "leaf.pem")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"CONNECT "):
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.drain()
        try:
            await writer.start_tls(self._context)
        except ssl.SSLError:
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_pass_on, reader, back)
                await _pass_on(there, writer)
                group.cancel_scope.cancel()
        finally:
            back.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()


def _certified(authority: Path, leaf: Path) -> ssl.SSLContext:
    """A context with a certificate for Slack's names; the authority that signed it goes to a file."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "klepaas tests")])
    ca = _certificate(ca_name, ca_name, ca_key.public_key()).add_extension(x509.BasicConstraints(True, 0), True)
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES])
    one = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    signed = _certificate(one, ca_name, key.public_key()).add_extension(names, False).sign(ca_key, hashes.SHA256())
    authority.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    leaf.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(hours=1),
        not_valid_after=now + timedelta(days=1),
    )
