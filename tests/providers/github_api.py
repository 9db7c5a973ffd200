"""A GitHub on loopback: as much of its REST and GraphQL API as the tools that klepaas shows ask for.

It keeps one repository, acme/shop, and remembers what was changed. A server told to use it as its HTTP proxy, with
`http://ghes.test` as its host, believes that it speaks to a GitHub Enterprise Server.
"""

import base64
import time
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from klepaas.testing import FakeHttp, HttpAnswer, HttpRequest

HOST = "http://ghes.test"
API = "/api/v3"
REPO = f"{API}/repos/acme/shop"
_JSON = {"Content-Type": "application/json"}
_NOW = "2026-11-20T09:00:00Z"


class GitHubApi(FakeHttp):
    """The fake.

    Attributes:
        issues: The issues that were opened, in order.
        tokens: What the requests said in `Authorization`, in order.
        app_key: The public key of the GitHub App, PEM. None: there is none.
        granted: Installation tokens that were given out.
        token_life_s: How long one lives, in seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.issues: list[dict[str, Any]] = []
        self.app_key: str | None = None
        self.granted: list[str] = []
        self.token_life_s = 3600.0
        self.answer("GET", f"{API}/user", {"login": "klepaas-bot", "id": 1, "html_url": f"{HOST}/klepaas-bot"})
        self.answer("GET", REPO, _REPOSITORY)
        self.answer("GET", f"{REPO}/issues/{{number}}", _issue(7, {"title": "Checkout is slow", "body": "Since 1.4."}))
        self.answer("GET", f"{REPO}/pulls", [_PULL])
        self.answer("GET", f"{REPO}/pulls/{{number}}", _PULL)
        self.answer("POST", f"{REPO}/pulls", _PULL, status=201)
        self.answer("GET", f"{REPO}/commits", [_COMMIT])
        self.answer("GET", f"{REPO}/branches", [{"name": "main", "commit": {"sha": "a" * 40}}])
        self.answer("GET", f"{REPO}/git/ref/heads/main", {"ref": "refs/heads/main", "object": {"sha": "a" * 40}})
        self.answer("GET", f"{REPO}/contents/README.md", _FILE)
        self.answer("GET", "/raw/acme/shop/{sha}/README.md", b"# The shop\n", headers={"Content-Type": "text/plain"})
        self.answer("PUT", f"{REPO}/contents/{{name}}", {"content": _FILE, "commit": {"sha": "c" * 40}})
        self.answer("DELETE", f"{REPO}/contents/{{name}}", {"commit": {"sha": "d" * 40}})
        self.answer("GET", f"{REPO}/actions/workflows", {"total_count": 1, "workflows": [_WORKFLOW]})
        self.answer("GET", f"{REPO}/actions/workflows/{{file}}/runs", {"total_count": 1, "workflow_runs": [_RUN]})
        self.answer("GET", f"{REPO}/actions/runs/{{number}}", _RUN)
        self.answer("POST", f"{REPO}/actions/workflows/{{file}}/dispatches", b"", status=204)
        self.answer("GET", f"{REPO}/releases", [_RELEASE])
        self.answer("GET", f"{REPO}/releases/latest", _RELEASE)
        self.handle("POST", f"{REPO}/issues", self._open_issue)
        self.handle("POST", "/api/graphql", self._graphql)
        self.handle("POST", f"{API}/app/installations/{{number}}/access_tokens", self._grant)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    @property
    def environment(self) -> dict[str, str]:
        """What leads a real server here instead of to the network."""
        return {"GITHUB_HOST": HOST, "HTTP_PROXY": self.url, "NO_PROXY": ""}

    @property
    def tokens(self) -> list[str]:
        """The credentials that came, in order."""
        return [request.headers.get("authorization", "") for request in self.requests]

    def trust(self, private_key: rsa.RSAPrivateKey) -> None:
        """Know a GitHub App by its key.

        Args:
            private_key: The App's.
        """
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.app_key = private_key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def arrived(self, method: str, path: str) -> int:
        """How many requests of a kind arrived, whatever they met.

        Args:
            method: Their method.
            path: The end of their path.
        """
        return sum(one == method and target.partition("?")[0].endswith(path) for one, target in self.proxy.asked)

    def _open_issue(self, request: HttpRequest) -> HttpAnswer:
        issue = _issue(101 + len(self.issues), request.json)
        self.issues.append(issue)
        return _json(issue, 201)

    def _graphql(self, request: HttpRequest) -> HttpAnswer:
        nodes = [
            {
                "number": issue["number"],
                "title": issue["title"],
                "body": issue["body"],
                "state": "OPEN",
                "databaseId": issue["id"],
                "author": {"login": "klepaas-bot"},
                "createdAt": _NOW,
                "updatedAt": _NOW,
                "labels": {"nodes": []},
                "comments": {"totalCount": 0},
            }
            for issue in self.issues
        ]
        page = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": "", "endCursor": ""}
        issues = {"nodes": nodes, "pageInfo": page, "totalCount": len(nodes)}
        return _json({"data": {"repository": {"issues": issues}}})

    def _grant(self, request: HttpRequest) -> HttpAnswer:
        """An installation token, for whoever shows the App's signature."""
        if self.app_key is None:
            return _json({"message": "Integration not found"}, 404)
        try:
            # The clock of a test may be set forward.
            signature = request.headers["authorization"].removeprefix("Bearer ")
            said = jwt.decode(signature, self.app_key, ["RS256"], options={"verify_iat": False, "verify_exp": False})
        except jwt.InvalidTokenError:
            return _json({"message": "A JSON web token could not be decoded"}, 401)
        if said["exp"] - said["iat"] > 660:
            return _json({"message": "'Expiration time' claim ('exp') is too far in the future"}, 401)
        token = f"ghs_{'0' * 30}{len(self.granted):06d}"
        self.granted.append(token)
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.token_life_s))
        return _json({"token": token, "expires_at": until, "permissions": {"issues": "write"}}, 201)


def failure(status: int, message: str = "broken", **headers: str) -> HttpAnswer:
    """An error as GitHub words it.

    Args:
        status: The status code.
        message: What it says.
        headers: Headers beside, `_` for `-`.
    """
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status, {**_JSON, **said}, _json({"message": message}).body)


def _json(body: Any, status: int = 200) -> HttpAnswer:
    import json

    return HttpAnswer(status, _JSON, json.dumps(body).encode())


def _issue(number: int, said: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": 1000 + number,
        "number": number,
        "title": said.get("title", ""),
        "body": said.get("body", ""),
        "state": "open",
        "html_url": f"{HOST}/acme/shop/issues/{number}",
        "user": {"login": "klepaas-bot", "id": 1},
        "created_at": _NOW,
        "updated_at": _NOW,
    }


_REPOSITORY = {"id": 1, "name": "shop", "full_name": "acme/shop", "default_branch": "main", "owner": {"login": "acme"}}
_PULL = {
    "id": 5,
    "number": 12,
    "title": "Retry the payment",
    "body": "",
    "state": "open",
    "html_url": f"{HOST}/acme/shop/pull/12",
    "head": {"ref": "retry", "sha": "b" * 40},
    "base": {"ref": "main", "sha": "a" * 40},
    "user": {"login": "klepaas-bot", "id": 1},
}
_COMMIT = {
    "sha": "a" * 40,
    "html_url": f"{HOST}/acme/shop/commit/{'a' * 40}",
    "commit": {"message": "Sell more", "author": {"name": "Kim", "email": "kim@acme.example", "date": _NOW}},
}
_FILE = {
    "type": "file",
    "name": "README.md",
    "path": "README.md",
    "sha": "f" * 40,
    "size": 11,
    "encoding": "base64",
    "content": base64.b64encode(b"# The shop\n").decode(),
    "html_url": f"{HOST}/acme/shop/blob/main/README.md",
}
_WORKFLOW = {"id": 3, "name": "CI", "path": ".github/workflows/ci.yml", "state": "active"}
_RUN = {
    "id": 42,
    "name": "CI",
    "status": "completed",
    "conclusion": "failure",
    "head_branch": "main",
    "head_sha": "a" * 40,
    "workflow_id": 3,
    "html_url": f"{HOST}/acme/shop/actions/runs/42",
}
_RELEASE = {
    "id": 9,
    "tag_name": "v1.4",
    "name": "1.4",
    "html_url": f"{HOST}/acme/shop/releases/v1.4",
    "body": "Faster.",
}
