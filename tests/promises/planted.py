"""Forty secrets and the places in a cluster where people really put them."""

import base64
import gzip
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

from klepaas_plugins.kubernetes.sandbox import Sandbox

from .conftest import deployment


class Canaries:
    """Makes secrets that occur nowhere else, and finds them again in any of their spellings."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def new(self, form: str = "{}") -> str:
        """A new secret.

        Args:
            form: The format of the token, with a place for its varying part.
        """
        canary = f"cnry{len(self.all):02d}Zq8"
        self.all.append(canary)
        return form.format(canary)

    def found_in(self, text: str) -> Iterator[str]:
        """The secrets that stand in a text: as they are, in base64, URL-encoded, or JSON-escaped."""
        for canary in self.all:
            forms = {canary, urllib.parse.quote(canary), json.dumps(canary)[1:-1], *_base64_forms(canary)}
            if any(form in text for form in forms):
                yield canary


def _base64_forms(canary: str) -> set[str]:
    """What the secret looks like inside base64, wherever it begins in the encoded text."""
    forms = set()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + canary.encode()).decode().rstrip("=")
        forms.add(encoded[4 if offset else 0 : -1])
    return forms


def plant(sandbox: Sandbox, canaries: Canaries) -> None:
    """Put a secret in every place.

    Args:
        sandbox: The cluster.
        canaries: Makes the secrets.
    """
    for obj in (*_secrets(canaries), *_config_maps(canaries), _workload(canaries), *_others(canaries)):
        sandbox.create(obj)
    sandbox.set_log("default", "leaky", "\n".join(_log_lines(canaries)) + "\n")


def _object(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, **fields}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _secrets(canaries: Canaries) -> Iterator[dict[str, Any]]:
    yield _object("Secret", "opaque", data={"value": _encoded(canaries.new())}, type="Opaque")
    yield _object("Secret", "written", stringData={"plain": canaries.new()})
    basic = {"username": _encoded("admin"), "password": _encoded(canaries.new())}
    yield _object("Secret", "basic", data=basic, type="kubernetes.io/basic-auth")
    docker = json.dumps({"auths": {"registry.example": {"auth": _encoded(f"user:{canaries.new()}")}}})
    yield _object(
        "Secret", "docker", data={".dockerconfigjson": _encoded(docker)}, type="kubernetes.io/dockerconfigjson"
    )
    key = f"-----BEGIN PRIVATE KEY-----\n{canaries.new()}\n-----END PRIVATE KEY-----\n"
    tls = {"tls.crt": _encoded("certificate"), "tls.key": _encoded(key)}
    yield _object("Secret", "tls", data=tls, type="kubernetes.io/tls")
    release = base64.b64encode(gzip.compress(canaries.new().encode())).decode()
    yield _object("Secret", "sh.helm.release.v1.web.v1", data={"release": _encoded(release)}, type="helm.sh/release.v1")
    applied = json.dumps({"kind": "Secret", "stringData": {"plain": canaries.new()}})
    secret = _object("Secret", "applied", data={"plain": _encoded("x")})
    secret["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    yield secret


def _config_maps(canaries: Canaries) -> Iterator[dict[str, Any]]:
    yield _object(
        "ConfigMap",
        "settings",
        data={
            "DB_PASSWORD": canaries.new(),
            "api-key": canaries.new(),
            "application.properties": f"server.port=8080\nspring.datasource.password={canaries.new()}\n",
            "application.yaml": f"db:\n  host: db\n  password: {canaries.new()}\n  token: '{canaries.new()}'\n",
            "config.json": json.dumps({"host": "db", "clientSecret": canaries.new()}),
            ".env": f'export SECRET_KEY="{canaries.new()}"\nREFRESH_TOKEN={canaries.new()}\n',
            "url": f"postgres://app:{canaries.new()}@db:5432/app",
            "kubeconfig": f"users:\n- name: a\n  user:\n    token: {canaries.new()}\n",
            "id_rsa": f"-----BEGIN RSA PRIVATE KEY-----\n{canaries.new()}\n-----END RSA PRIVATE KEY-----",
        },
    )
    config_map = _object("ConfigMap", "annotated", data={"host": "db"})
    config_map["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": {"password": canaries.new()}}),
        "example.com/token": canaries.new(),
    }
    yield config_map


def _workload(canaries: Canaries) -> dict[str, Any]:
    env = [
        {"name": "DB_PASSWORD", "value": canaries.new()},
        {"name": "GREETING", "value": canaries.new("x9-{}")},
        {"name": "DATABASE_URL", "value": f"mysql://root:{canaries.new()}@db/x"},
        {"name": "AWS_SECRET_ACCESS_KEY", "value": canaries.new()},
    ]
    leaky = deployment("leaky", env=env, args=[f"--password={canaries.new()}", "--token", canaries.new()])
    leaky["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": {"password": canaries.new()}}),
        "kubernetes.io/change-cause": f"deploy with --set password={canaries.new()}",
    }
    return leaky


def _others(canaries: Canaries) -> Iterator[dict[str, Any]]:
    pull = f"https://robot:{canaries.new()}@registry.example/x"
    yield _object(
        "Event",
        "leaky.1",
        involvedObject={"apiVersion": "v1", "kind": "Pod", "name": "leaky", "namespace": "default"},
        reason="Failed",
        type="Warning",
        message=f'Failed to pull "{pull}": Bearer {canaries.new("eyJhb{}aaaa")}',
        firstTimestamp="2026-11-21T00:00:00Z",
        lastTimestamp="2026-11-21T00:00:00Z",
        count=1,
    )
    service = _object(
        "Service", "leaky", spec={"selector": {"app.kubernetes.io/name": "leaky"}, "ports": [{"port": 80}]}
    )
    service["metadata"]["annotations"] = {"example.com/webhook-secret": canaries.new()}
    yield service


def _log_lines(canaries: Canaries) -> Iterator[str]:
    yield f"INFO connecting to postgres://app:{canaries.new()}@db:5432/app"
    yield f"DEBUG request headers: Authorization: Bearer {canaries.new('abcdef{}ghijkl')}"
    yield f'DEBUG body {{"user":"kim","password":"{canaries.new()}"}}'
    yield f"DEBUG env DB_PASSWORD={canaries.new()}"
    yield f"WARN github token ghp_{canaries.new('0123456789{}abcdefghij')}"
    yield f"WARN slack token xoxb-{canaries.new('1234567890-{}')}"
    yield f"INFO session eyJhbGciOiJIUzI1NiJ9.{canaries.new('eyJzdWIi{}')}.c2lnbmF0dXJl"
    yield f"ERROR login failed for kim, api_key: {canaries.new()}"
    yield f"DEBUG X-Api-Key: {canaries.new()}"
    yield f"DEBUG Set-Cookie: sid={canaries.new()}; HttpOnly"
    yield f"INFO cache redis://:{canaries.new()}@cache:6379/0"
