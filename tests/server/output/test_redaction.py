"""Secrets in text are masked wherever they stand, and text that only speaks of secrets is left alone."""

import base64
import json
import time
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klepaas.output.redaction import MARK, Vault, is_secret_name, looks_secret, redact_text
from klepaas.testing import time_budget

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx7\nq9dUhX+Zz8/abc==\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
DOCKER = base64.b64encode(b'{"auths":{"registry.example":{"auth":"dXNlcjpodW50ZXIy"}}}').decode()

# A text, and what must not be left of it.
SECRETS = [
    # log lines and error messages
    ('level=error msg="login failed" password=hunter2 user=bob', "hunter2"),
    ("2026-11-21T10:00:00Z INFO connecting with DB_PASSWORD=hunter2 to db:5432", "hunter2"),
    ("ERROR could not authenticate: token: s3cr3t-value-9", "s3cr3t-value-9"),
    ("java.sql.SQLException: Access denied (using password: hunter2!)", "hunter2!"),
    ("request failed, api_key='abc123def' was rejected", "abc123def"),
    ("using secret_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY for S3", "wJalrXUtnFEMI"),
    ("client secret => Zx8Q~abc.def", "Zx8Q~abc"),
    # key=value strings of drivers
    ("Server=db;Database=app;User Id=sa;Password=hunter2;Encrypt=true", "hunter2"),
    ("host=db user=app password=hunter2 sslmode=disable", "hunter2"),
    ("jdbc:postgresql://db:5432/app?user=app&password=hunter2&ssl=true", "hunter2"),
    # environment
    ("export GITHUB_TOKEN=abcdef0123456789", "abcdef0123456789"),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCY", "wJalrXUtnFEMI"),
    ("POSTGRES_PASSWORD: 'correct horse battery staple'", "correct horse"),
    ('REDIS_PASSWORD="with \\"quotes\\" inside"', "inside"),
    ("SLACK_WEBHOOK_URL=https://chat.example/services/T0/B0/XXXX", "XXXX"),
    ("spring.datasource.password=hunter2", "hunter2"),
    ("NCP_ACCESS_KEY=ncp0123456789ABCDEF", "ncp0123456789"),
    # JSON, YAML, Python
    ('{"password": "hunter2", "user": "bob"}', "hunter2"),
    ('{"dbPassword":"hunter2"}', "hunter2"),
    ('{"auth": {"clientSecret":"Zx8Q~abc","id":"me"}}', "Zx8Q~abc"),
    ('"{\\"password\\":\\"hunter2\\",\\"user\\":\\"bob\\"}"', "hunter2"),
    ("{'password': 'hunter2'}", "hunter2"),
    ("database:\n  password: hunter2\n  host: db", "hunter2"),
    ('  apiKey: "abc123def"', "abc123def"),
    ("stringData:\n  api-token: abc.def-123", "abc.def-123"),
    ("password: 12345678", "12345678"),
    ("password: correct horse battery staple", "staple"),
    ("- token: some phrase of words", "words"),
    ("password=abc(def)ghi", "ghi"),
    ("map[password:hunter2 user:bob]", "hunter2"),
    ('"{\\"a\\": \\"{\\\\\\"password\\\\\\": \\\\\\"hunter2 x\\\\\\"}\\"}"', "hunter2 x"),
    # flags
    ("mysqld --user=root --password=hunter2 --verbose", "hunter2"),
    ("redis-server --requirepass hunter2", "hunter2"),
    ("vault login --token s.abcdef0123", "s.abcdef0123"),
    ('curl -H "X-Api-Key: abc123def" https://api.example', "abc123def"),
    # URLs
    ("postgres://app:hunter2@db:5432/app", "hunter2"),
    ("amqp://guest:p%40ss%2Fword@mq:5672/", "p%40ss"),
    ("https://oauth2:tok_en-9@git.example/team/app.git", "tok_en-9"),
    ("postgres://app:p@ss@db:5432/app", "p@ss"),
    ("redis://:hunter2@cache:6379/0", "hunter2"),
    ("https://api.example/v1?api_key=abc123def&page=2", "abc123def"),
    ("https://bucket.example/o?X-Amz-Signature=0123456789abcdef0123456789abcdef", "0123456789abcdef"),
    ("https://blob.example/c?sv=2024&sig=abcDEF123%2Babc%3D&se=2026", "abcDEF123"),
    ("https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "XXXXXXXX"),
    # headers
    ("Authorization: Bearer abcdef0123456789.xyz", "abcdef0123456789"),
    ("authorization: Basic dXNlcjpodW50ZXIyaHVudGVyMg==", "dXNlcjpodW50"),
    ("Authorization: token gho_short1234567", "gho_short1234567"),
    ("Proxy-Authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
    ("Cookie: session=abcdef0123456789; theme=dark", "abcdef0123456789"),
    ("Set-Cookie: sid=abcdef0123456789; Path=/; HttpOnly", "abcdef0123456789"),
    ("PRIVATE-TOKEN: abcdef0123456789", "abcdef0123456789"),
    ('{"headers":{"Authorization":"Bearer abcdef0123456789"}}', "abcdef0123456789"),
    # by their form, wherever they stand
    (f"key is\n{PEM}\nend", "MIIEow"),
    (PEM.replace("\n", "\\n"), "MIIEow"),
    (PEM[:60], "MIIEow"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----", "b3Blbn"),
    (f"got {JWT} from the issuer", "dozjgNryP4J3"),
    ("cloning with ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdef"),
    ("github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz", "github_pat_11"),
    ("glpat-abcdefghij0123456789", "glpat-abc"),
    ("xoxb-123456789012-abcdefghijkl", "xoxb-1234"),
    ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSF"),
    ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "AIzaSyA12"),
    ("ya29.a0AfH6SMBabcdefghijklmnop", "a0AfH6SMB"),
    ("sk-proj-abcdefghijklmnopqrstuvwx", "sk-proj-abc"),
    ("sk_" + "live_abcdefghijklmnop1234", "abcdefghijklmnop1234"),
    ("npm_abcdefghijklmnopqrstuvwxyz0123456789", "npm_abcdef"),
    ("hvs.CAESIabcdefghijklmnopqrstuvwxyz", "CAESIabc"),
    # kubeconfig, docker, service accounts
    ("users:\n- name: admin\n  user:\n    client-key-data: LS0tLS1CRUdJTiBSU0E=\n", "LS0tLS1CRUdJ"),
    ("    token: abcdef.0123456789abcdef", "0123456789abcdef"),
    (f".dockerconfigjson: {DOCKER}", DOCKER[:20]),
    (
        '{"auths":{"registry.example":{"username":"u","password":"hunter2","auth":"dXNlcjpodW50ZXIy"}}}',
        "dXNlcjpodW50ZXIy",
    ),
    (json.dumps({"type": "service_account", "private_key": PEM}), "MIIEow"),
    ('"private_key_id": "0123456789abcdef0123456789abcdef01234567"', "0123456789abcdef"),
]

# What Kubernetes, its components and applications say about secrets without telling one.
HARMLESS = [
    "failed to verify token: signature is invalid",
    "could not get secret: permission denied by policy",
    "the basic authentication plugin and the token authentication webhook are off",
    "Secrets: regcred, db-credentials",
    "password: must be at least 8 characters",
    "args: [--password=$(DB_PASSWORD), --token, $(TOKEN)]",
    "docker://registry.example:5000/team/web@sha256:abc",
    "password:\n  valueFrom:\n    secretKeyRef: {name: db, key: password}",
    'Error from server (NotFound): secrets "db-credentials" not found',
    'Secret "db-password" not found',
    'secret "x" not found',
    'MountVolume.SetUp failed for volume "db-password" : secret "db-password" not found',
    'MountVolume.SetUp failed for volume "kube-api-access-x2x9z" : failed to sync configmap cache: timed out',
    'MountVolume.SetUp failed for volume "default-token-x2x9z" : failed to sync secret cache: timed out waiting',
    "Error: couldn't find key password in Secret default/db",
    "couldn't find key token in Secret default/api",
    'Error: secret "registry-credentials" not found',
    "FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (regcred); image may fail to pull",
    'secrets is forbidden: User "system:serviceaccount:default:web" cannot list resource "secrets" in API group ""',
    'User "bob" cannot get resource "secrets" in API group "" in the namespace "prod"',
    'serviceaccounts "web" is forbidden: cannot create token: denied by policy',
    "Unable to authenticate the request: invalid bearer token",
    "Unauthorized: token has expired",
    "the token is expired",
    "failed to refresh token: connection refused",
    'password authentication failed for user "app"',
    'FATAL: password authentication failed for user "postgres"',
    "error: no password supplied",
    "Access denied for user 'app'@'10.0.0.1' (using password: YES)",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "pq: password authentication failed",
    "secretName: y",
    "secretName: db-credentials",
    '"secretName":"db-credentials","optional":true',
    "imagePullSecrets:\n- name: regcred",
    "secretKeyRef:\n  name: db\n  key: password",
    "valueFrom: secretKeyRef name=db key=password",
    "automountServiceAccountToken: false",
    "tokenExpirationSeconds: 3600",
    "serviceAccountToken:\n  expirationSeconds: 3607\n  path: token",
    "tokens_total 5",
    'http_requests_total{path="/token",code="200"} 5',
    "prompt_tokens: 128, completion_tokens: 512",
    "max_tokens=4096",
    "token_ttl: 3600",
    "password: null",
    'password: ""',
    "password:",
    "PASSWORD_FILE=/run/secrets/db_password",
    "passwordPolicy: strict",
    "password required",
    "Enter password: ",
    "0 secrets, 3 configmaps",
    "kind: Secret\ntype: kubernetes.io/tls",
    "NAME\tTYPE\tDATA\tAGE\ndb-credentials\tOpaque\t2\t5d",
    "keys: username, password",
    "Reading the token from /var/run/secrets/kubernetes.io/serviceaccount/token",
    "authentication: enabled",
    "author: Jane Doe",
    "authors = 3",
    "authority: https://login.example",
    "key: app.kubernetes.io/name",
    "keys=5",
    "monkey=banana",
    "compass: north",
    "the secret to a good rollout: small steps",
    "pod web-7d4b9c6f5d-x2x9z in default",
    "image: registry.example/team/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "commit 0123456789abcdef0123456789abcdef01234567",
    "uid: 6f1c2d3e-4b5a-6978-8877-665544332211",
    "Basic health check passed",
    "bearer of bad news",
    "http://web.default.svc:8080/healthz",
    "git@github.example:team/app.git",
    "ssh://git@host:22/repo",
    "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----",
    "한국어 로그: 비밀번호가 틀렸습니다",
]


@pytest.mark.parametrize(("text", "secret"), SECRETS, ids=[text[:40] for text, _ in SECRETS])
def test_a_secret_is_masked_where_it_stands(text: str, secret: str) -> None:
    assert secret in text
    redacted = redact_text(text)
    assert secret not in redacted
    assert MARK in redacted


@pytest.mark.parametrize("text", HARMLESS)
def test_text_that_tells_no_secret_is_left_alone(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("text", [text for text, _ in SECRETS], ids=lambda text: text[:40])
@pytest.mark.parametrize("frame", ["{}", "[{}]", "a {} b", "{}\n{}", "> {}", "ts={} level=info"])
def test_redacting_twice_changes_nothing(text: str, frame: str) -> None:
    once = redact_text(frame.replace("{}", text))
    assert redact_text(once) == once


@pytest.mark.parametrize("text", [text for text, _ in SECRETS if text.startswith("{")])
def test_json_stays_json(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        return
    json.loads(redact_text(text))


_WORDS = st.sampled_from(
    [
        "password",
        "token",
        "secret",
        "api_key",
        "=",
        ":",
        " ",
        "\n",
        '"',
        "'",
        "\\",
        "{",
        "}",
        ",",
        "Bearer ",
        MARK,
        "hunter2",
        "://",
        "@",
        "u",
        "--",
        "-",
        "null",
        "eyJ",
        ".",
        "AKIAIOSFODNN7EXAMPLE",
        "가",
        "x" * 40,
        "&",
        "?",
        ";",
    ]
)


@given(st.lists(_WORDS, max_size=20).map("".join))
def test_any_mixture_is_redacted_once_and_for_all(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once
    assert once.count(MARK) >= 0


@given(st.text())
def test_any_text_can_be_redacted(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        "password",
        "password=",
        "password: ",
        '"',
        "\\",
        '\\"',
        "password=\\",
        'password="',
        'password="\\',
        "a.",
        "a-",
        "-",
        "--a ",
        "://",
        "a://b:",
        "a://:",
        "eyJa",
        "eyJaaaaaaaaaa.",
        "bearer ",
        "basic basic ",
        "token token",
        " ",
        "\n",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "_",
        "Aa",
        "secret.",
        "token-",
        "a=",
        "A",
        "=",
        ":",
        "'",
        "x" * 50,
        "https://",
        "u:p@",
        "password  =",
        "{",
        "password=>",
        MARK,
        "ghp_",
        "AKIA",
        "passwordpassword-",
        "0",
        "a+.-",
        "dsn=",
        "password: |\n",
        "password: |\n  ",
        "passwords:\n- passwords:\n- ",
        "passwords: [a,",
        "stringData:\n  ",
        '"data":{"',
        "kind: Secret\n",
        "mysql -p ",
        "curl -u a:",
        "echo a|",
        "name: password\n",
        "<password>",
        "password is ",
        "ENV PASSWORD ",
        "//a:",
        "a:b@tcp",
        "비밀번호 ",
        "eyJaaaaaaaa+",
        "glpat-",
        '\\n"',
        "a:5432:b:c:d\n",
        "LS0tLS1CRUdJTi",
        "{SHA}",
    ],
)
def test_a_hostile_text_of_256_kib_takes_linear_time(piece: str) -> None:
    text = (piece * (256 * 1024 // len(piece) + 1))[: 256 * 1024]
    began = time.thread_time()
    redact_text(text)
    assert time.thread_time() - began < time_budget(3, "a pattern would backtrack")


def test_names_of_secrets_are_known_by_their_parts() -> None:
    for name in (
        "password",
        "DB_PASSWORD",
        "dbPassword",
        "api-key",
        "apiKey",
        "x-api-key",
        "client.secret",
        "authToken",
    ):
        assert is_secret_name(name), name
    for name in ("tokens_total", "secretName", "author", "keyboard", "compass", "max_tokens", "monkey", "username", ""):
        assert not is_secret_name(name), name


def test_a_value_is_known_by_its_form() -> None:
    assert looks_secret(JWT)
    assert looks_secret("postgres://app:hunter2@db/app")
    assert not looks_secret("registry.example/team/web:1.2")
    assert not looks_secret("")


SECRET = 'p"a/s s+w\\ö?&=1'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(SECRET.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"user:{SECRET}".encode()).decode(),
        base64.b64encode(f"ab:{SECRET}\n".encode()).decode(),
        base64.b64encode(f"a:{SECRET}!".encode()).decode(),
        urllib.parse.quote(SECRET, safe=""),
        urllib.parse.quote(SECRET),
        urllib.parse.quote(SECRET, safe="").lower(),
        urllib.parse.quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(json.dumps(SECRET)),
        repr(SECRET),
        SECRET.encode().hex(),
    ],
)
@pytest.mark.parametrize("frame", ["{}", "x{}y", '{"any": "{}"}', "GET /?q={} HTTP/1.1"])
def test_a_secret_that_klepaas_holds_is_found_in_every_form(form: str, frame: str) -> None:
    vault = Vault()
    vault.keep(SECRET)
    redacted = vault.redact(frame.replace("{}", form))
    assert MARK in redacted
    for part in (
        "s%20s",
        "a/s s",
        "p%22a",
        SECRET.encode().hex()[4:-4],
        base64.b64encode(SECRET.encode()).decode()[4:-4],
    ):
        assert part.lower() not in redacted.lower()
    assert vault.redact(redacted) == redacted


def test_a_token_read_with_its_line_end_is_found_without_it() -> None:
    vault = Vault()
    vault.keep("abcdef0123\n")
    assert vault.redact("x abcdef0123 y") == f"x {MARK} y"


@pytest.mark.parametrize("secret", ["", "abc", "12345", "redacted", "  \n", "dacted›"])
def test_a_value_that_would_blank_out_ordinary_text_or_the_mark_is_not_kept(secret: str) -> None:
    vault = Vault()
    vault.keep(secret)
    text = f"abc 12345 {MARK} redacted"
    assert vault.redact(text) == text


def test_many_secrets_are_found_in_linear_time() -> None:
    vault = Vault()
    for number in range(50):
        vault.keep(f"secret-number-{number}-{number * 7919}")
    text = "secret-number-1 " * 16_384
    began = time.thread_time()
    vault.redact(text)
    assert time.thread_time() - began < time_budget(3, "a pattern would backtrack")


def test_a_secret_that_is_set_is_never_forgotten_however_many_others_come() -> None:
    vault = Vault()
    vault.keep("the-static-secret")
    vault.keep("the-password-that-is-renewed", renewal_of="another login")
    for number in range(2000):
        vault.keep(f"renewed-token-{number:04}", renewal_of="a login")
    for number in range(300):
        vault.keep(f"set-as-well-{number:04}")
    forms = ("the-static-secret", base64.b64encode(b"the-static-secret").decode(), "the-password-that-is-renewed")
    assert [vault.redact(form) for form in forms] == [MARK] * 3
    assert vault.redact("set-as-well-0000") == MARK


def test_of_a_credential_that_is_renewed_the_newest_values_are_kept_only() -> None:
    vault = Vault()
    vault.keep("still-in-use", renewal_of="a login")
    for number in range(400):
        vault.keep(f"renewed-token-{number:04}", renewal_of="a login")
        vault.keep("still-in-use", renewal_of="a login")
    assert vault.redact("renewed-token-0399 renewed-token-0390 still-in-use") == f"{MARK} {MARK} {MARK}"
    assert vault.redact("renewed-token-0000") == "renewed-token-0000"


def test_a_secret_that_is_a_form_of_a_renewed_one_stays_when_that_one_goes() -> None:
    vault = Vault()
    vault.keep("renewed-before", renewal_of="a login")
    static = base64.b64encode(b"renewed-before").decode()
    vault.keep(static)
    for number in range(100):
        vault.keep(f"renewed-token-{number:04}", renewal_of="a login")
    assert vault.redact(static) == MARK


def test_a_credential_that_is_renewed_without_saying_so_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    vault = Vault()
    for number in range(1030):
        vault.keep(f"token-{number:05}")
    assert [record.message for record in caplog.records if "renewal_of" in record.message]
    assert vault.redact("token-00000") == MARK
