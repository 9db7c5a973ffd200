"""Admission webhooks on either server: the sandbox is told what they do, a real one calls a server that does it."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from klepaas_plugins.kubernetes.sandbox import Webhook
from klepaas_plugins.kubernetes.sandbox.patch import merge_patch

from .api_server import Json, Server

ADMISSION = "admissionregistration.k8s.io/v1"
_LARGEST_BYTES = 1_000_000


@asynccontextmanager
async def webhook_on(server: Server, webhook: Webhook, folder: Path) -> AsyncIterator[None]:
    """Let a webhook be asked about what is written to the server's namespace; a real server begins some time later."""
    if server.sandbox is not None:
        server.sandbox.add_webhook(webhook)
        yield
        return
    context = _certified(folder)
    sockets = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = 1 if webhook.failure else sockets.listeners[0].extra(SocketAttribute.local_port)
    body = configuration(server, webhook, port, folder)
    async with (
        TLSListener(sockets, context, standard_compatible=False) as listener,
        _registered(server, body),
        anyio.create_task_group() as group,
    ):

        async def serve(stream: ByteStream) -> None:
            await _answer(stream, webhook)

        group.start_soon(listener.serve, serve)
        yield
        group.cancel_scope.cancel()


@asynccontextmanager
async def _registered(server: Server, body: Json) -> AsyncIterator[None]:
    plural = f"/apis/{ADMISSION}/{body['kind'].lower()}s"
    made = await server.post(plural, body)
    assert made.status_code == 201, made.text
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await server.http.delete(f"{plural}/{server.namespace}")


def configuration(server: Server, webhook: Webhook, port: int, folder: Path, side_effects: str = "None") -> Json:
    """The object that tells a real server of a webhook."""
    trusted = (folder / "webhook.crt").read_bytes() if (folder / "webhook.crt").exists() else b""
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": list(webhook.operations)}
    kind = "MutatingWebhookConfiguration" if webhook.merge is not None else "ValidatingWebhookConfiguration"
    client = {"url": f"https://127.0.0.1:{port}/"} | ({"caBundle": b64encode(trusted).decode()} if trusted else {})
    hook = {
        "name": webhook.name,
        "clientConfig": client,
        "rules": [{**rule, "resources": [webhook.resource]}],
        "failurePolicy": "Ignore" if webhook.ignores_failure else "Fail",
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": server.namespace}},
        "sideEffects": side_effects,
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": int(webhook.timeout_s),
    }
    return {"apiVersion": ADMISSION, "kind": kind, "metadata": {"name": server.namespace}, "webhooks": [hook]}


async def _answer(stream: ByteStream, webhook: Webhook) -> None:
    """Answer one review, over one connection."""
    async with stream:
        try:
            received = BufferedByteReceiveStream(stream)
            head = (await received.receive_until(b"\r\n\r\n", _LARGEST_BYTES)).decode()
            lines = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
            review: Json = json.loads(await received.receive_exactly(int(lines["content-length"])))
            await anyio.sleep(webhook.delay_s)
            body = json.dumps({**review, "response": _verdict(review["request"], webhook)}).encode()
            opening = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            await stream.send(f"{opening}connection: close\r\n\r\n".encode() + body)
        except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead):
            return


def _verdict(request: Json, webhook: Webhook) -> Json:
    verdict: Json = {"uid": request["uid"], "allowed": not webhook.denies}
    said = {"code": webhook.code, "reason": webhook.reason, "message": webhook.message}
    if webhook.denies and any(said.values()):
        verdict["status"] = {name: value for name, value in said.items() if value}
    if webhook.merge:
        merged = merge_patch(request["object"], webhook.merge)
        changes = [{"op": "add", "path": f"/{name}", "value": merged[name]} for name in webhook.merge]
        verdict |= {"patchType": "JSONPatch", "patch": b64encode(json.dumps(changes).encode()).decode()}
    return verdict


def _certified(folder: Path) -> ssl.SSLContext:
    """What a TLS server on 127.0.0.1 needs; its certificate lies in the folder."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
    place = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(place, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, form, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "webhook.crt").write_bytes(certificate.public_bytes(pem))
    (folder / "webhook.key").write_bytes(key.private_bytes(pem, form, plain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "webhook.crt", folder / "webhook.key")
    return context
