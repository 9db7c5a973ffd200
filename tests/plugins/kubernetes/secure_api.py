"""An API server's TLS and answers, as small as the tests of credentials need them."""

import base64
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "b64", "pong", "refusing"]


async def pong(seen: Any) -> AsyncIterator[bytes]:
    """Any pod, and the discovery of Deployments; that of pods is asked of no server."""
    body = b'{"kind":"Pod","metadata":{"name":"p"}}'
    if seen.path in ("/api", "/apis"):
        kind, verbs = {"kind": "Deployment"}, ["get", "list"]
        resources = [{"resource": "deployments", "responseKind": kind, "scope": "Namespaced", "verbs": verbs}]
        group = {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": resources}]}
        items = [group] if seen.path == "/apis" else []
        body = json.dumps({"kind": "APIGroupDiscoveryList", "items": items}).encode()
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body


async def refusing(seen: Any) -> AsyncIterator[bytes]:
    """The same, for the bearer of the second token only."""
    if seen.headers.get("authorization") == "Bearer second":
        async for chunk in pong(seen):
            yield chunk
    else:
        yield b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Authority:
    """A certificate authority of a test."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.certificate = self._signed(self.name, self.key.public_key(), x509.BasicConstraints(True, None))
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, days: tuple[int, int] = (-1, 1), *, loopback: bool = True) -> tuple[bytes, bytes]:
        """A certificate for a name, mostly for loopback too, valid between two days from now, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        here = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))] if loopback else []
        names = x509.SubjectAlternativeName([x509.DNSName(name), *here])
        certificate = self._signed(subject, key.public_key(), names, days)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM), pem

    def _signed(
        self, subject: x509.Name, key: Any, extension: x509.ExtensionType, days: tuple[int, int] = (-1, 1)
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        begin, end = (now + datetime.timedelta(days=day) for day in days)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begin)
        builder = builder.not_valid_after(end).add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(
        self, tmp_path: Path, *, ask_client: bool = False, days: tuple[int, int] = (-1, 1), loopback: bool = True
    ) -> ssl.SSLContext:
        """TLS of the server `cluster.test`; where it asks, only clients of this authority get in."""
        certificate, key = self.issue("cluster.test", days, loopback=loopback)
        path = tmp_path / "server.pem"
        path.write_bytes(certificate + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.pem.decode())
        return context


def b64(data: bytes) -> str:
    """As a kubeconfig holds it."""
    return base64.b64encode(data).decode()
