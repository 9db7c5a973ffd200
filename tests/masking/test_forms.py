"""Forms of secrets in texts, each by a test that names it, and words of harmless texts that stay."""

import time

import pytest

from klepaas.output.redaction import MARK, redact_text
from klepaas.testing import time_budget

SECRET = "hunter2abc"
WEAK = "correcthorse"


def _is_masked(*texts: str) -> bool:
    assert all(SECRET in text or WEAK in text for text in texts)
    return not [text for text in texts if SECRET in redact_text(text) or WEAK in redact_text(text)]


def test_a_default_inside_of_a_call_is_masked() -> None:
    assert _is_masked(
        f'getenv("DB_PASSWORD","{WEAK}")',
        f'os.environ.get("DB_PASSWORD", "{WEAK}")',
        f'System.getProperty("db.password", "{SECRET}")',
        f'config("SECRET_KEY", default="{SECRET}")',
        f"process.env.API_TOKEN || '{SECRET}'",
        f'env::var("DB_PASSWORD").unwrap_or("{SECRET}".to_string())',
        f'ENV.fetch("DB_PASSWORD") {{ "{SECRET}" }}',
    )


def test_a_secret_that_a_call_sets_or_converts_is_masked() -> None:
    assert _is_masked(
        f'builder.setPassword("{WEAK}")', f'password = SecretStr("{SECRET}")', f'token := []byte("{SECRET}")'
    )


def test_the_keys_and_salts_of_wordpress_are_masked() -> None:
    for name in ("AUTH_KEY", "SECURE_AUTH_KEY", "LOGGED_IN_KEY", "NONCE_KEY", "AUTH_SALT", "NONCE_SALT"):
        assert _is_masked(f"define('{name}', '{SECRET} with words');", f'define( "{name}",  "{WEAK}" );')


def test_communities_of_snmp_are_masked() -> None:
    assert _is_masked(
        f"snmp-server community {WEAK} RO\n",
        f"rocommunity {WEAK}\n",
        f"rwcommunity {SECRET} 10.0.0.0/8\n",
        f"com2sec readonly default {WEAK}\n",
        f"snmpwalk -v2c -c {WEAK} 10.0.0.1\n",
    )


def test_passwords_of_kadmin_redis_and_mysqladmin_are_masked() -> None:
    assert _is_masked(
        f"kadmin -p admin -w {WEAK} -q listprincs",
        f"redis-cli -a{SECRET} ping",
        f"mysqladmin password {WEAK}",
        f"mysqladmin -u root password '{WEAK}'",
    )


def test_shared_secrets_of_ipsec_are_masked() -> None:
    assert _is_masked(f': PSK "{WEAK}"\n', f'10.0.0.1 %any : PSK "{SECRET} more"\n', f'carol : EAP "{WEAK}"\n')


def test_tuples_of_erlang_are_masked() -> None:
    assert _is_masked(f'{{password, "{WEAK}"}}.', f'[{{user, "app"}}, {{default_pass, <<"{SECRET}">>}}]')


def test_a_login_to_vault_with_a_word_is_masked() -> None:
    assert redact_text("vault login root\n") == f"vault login {MARK}\n"
    assert _is_masked(f"vault login {WEAK}\n", f"sh -c 'vault login {WEAK}'")
    assert redact_text("vault login failed: permission denied") == "vault login failed: permission denied"


def test_the_value_of_an_element_stands_in_an_attribute_or_in_elements_inside() -> None:
    assert _is_masked(
        f"<password value='{WEAK}'/>",
        f"<secret><item>{WEAK}</item></secret>",
        f"<credentials>\n  <secret><plain>{SECRET}</plain></secret>\n</credentials>",
    )
    assert redact_text("<secret><name>db</name></secret>") == "<secret><name>db</name></secret>"


def test_a_pair_in_a_template_or_under_any_words_is_masked() -> None:
    assert _is_masked(
        f'{{{{ dict "name" "DB_PASSWORD" "value" "{WEAK}" }}}}',
        f'x: {{{{ default "{WEAK}" .Values.db.password }}}}',
        f'x: {{{{ .Values.db.password | default "{WEAK}" }}}}',
        f"- what: DB_PASSWORD\n  is: {SECRET}\n",
        f'{{"left": "API_TOKEN", "right": "{SECRET}"}}',
    )


def test_a_password_may_begin_with_a_dollar() -> None:
    assert _is_masked(
        f"password: ${SECRET}\n", f"DB_PASSWORD=${SECRET}\n", f"sshpass -p '${SECRET}' ssh a@b", f"password: $${SECRET}"
    )
    for reference in ("password: $DB_PASSWORD\n", "password: $password\n", "token=$env:API_TOKEN_2\n"):
        assert redact_text(reference) == reference


def test_the_checksums_of_private_keys_of_putty_are_masked() -> None:
    for digest in ("0123456789abcdef" * 2, "0123456789ABCDEF" * 4):
        for text in (f"Private-MAC: {digest}", f"Private-MAC:\n{digest}", f"Private-Hash: {digest}"):
            assert digest not in redact_text(text)


def test_a_password_that_a_line_end_parts_from_its_address_is_masked() -> None:
    assert _is_masked(
        f"postgres://app:\n{SECRET}@db:5432/x",
        f"postgres://app:{SECRET}\n@db:5432/x",
        f"url: amqp://app:first-\\\n  {SECRET}@mq:5672/v\n",
    )
    for innocent in ("see http://web:8080\n ops@example.com", "http://web.svc:8080\nuser@example.com\n"):
        assert redact_text(innocent) == innocent


def test_a_value_alone_on_the_line_below_its_name_is_masked() -> None:
    assert _is_masked(
        f"The password is:\n{SECRET}", f"Password:\n\n    {SECRET}\n", f"The password for root is\n{SECRET}\n"
    )
    for innocent in ("Password:\nUser: app2\n", "token:\n  name: bot2\n", "The token is\nexpired\n"):
        assert redact_text(innocent) == innocent


@pytest.mark.parametrize(
    "text",
    [
        "dial tcp: lookup dex.auth.svc.cluster.local:5556: no such host",
        "proxy_pass http://auth-2.internal:8080/;",
        "set secret failed: connection refused",
        "set secret version 3",
        'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 4',
    ],
)
def test_addresses_directives_and_messages_keep_their_words(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        "snmp-server community ",
        "snmp-server host a traps ",
        'getenv("PASSWORD", ',
        "PASSWORD || ",
        '{{ default "',
        '{{ dict "password" "',
        "<secret><a>",
        "<secret><a>x</a>",
        "<secret></secret>",
        ": PSK ",
        "password is:\n",
        "password:\n\n",
        "a://b:c\n",
        "a: A_TOKEN, b: ",
        "{password, ",
        "net user a ",
        "mysqladmin ",
        'auth=("a","',
        "vault login ",
        "db.password.svc:80",
    ],
)
def test_a_hostile_text_of_these_forms_takes_linear_time(piece: str) -> None:
    text = (piece * (256 * 1024 // len(piece) + 1))[: 256 * 1024]
    began = time.thread_time()
    redact_text(text)
    assert time.thread_time() - began < time_budget(3, "a pattern would backtrack")
