"""The credential plugins that a kubeconfig may run unasked: what each may be asked for, and what it gets to know.

These are general command lines too, or take options that send our credentials elsewhere (`doctl --api-url`,
`aws --endpoint-url`), run another program (`kubelogin --browser-command`), read any file into what the cluster's
server gets (`aws eks get-token --cluster-name file://...`) or take somebody else's tokens from a prepared folder
(`--token-cache-dir`). So the words are a list, and each option and variable that is not on it is refused: in a list
of those that are bad, the next version's would be missing. Whoever needs more allows the program by its path in
KLEPAAS_K8S_EXEC_PLUGINS, and with it all that the kubeconfig says.

Sources: `aws eks get-token help` and "Environment variables" of the AWS SDKs' reference; kubernetes-sigs/
aws-iam-authenticator, cmd/; int128/kubelogin, docs/usage.md; Azure/kubelogin, docs/book/src/cli;
gke-gcloud-auth-plugin, `--help`; `gcloud topic configurations`; NaverCloudPlatform/ncp-iam-authenticator, cmd/;
`doctl kubernetes cluster kubeconfig exec-credential --help`; `oci ce cluster generate-token --help`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from klepaas.output.safe import limit_length

__all__ = ["KNOWN_PLUGINS", "KnownPlugin", "objection_to_words"]

# The forms of an option's value. None is for an option that takes none.
_TEXT = r"(?!-|[A-Za-z+.-]*://)[^\x00-\x1f]+"  # no address, no file:// that the program would read
_ANY = r"(?!-|fileb?://)[^\x00-\x1f]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})"  # becomes a part of a host's name
_ISSUER = r"https://[^\s\x00-\x1f@]+"
_OWN_CACHE = r"(?!.*\.\.)(?:~|\$HOME)/\.kube/[^\x00-\x1f]+"
_LEVEL = r"[0-9]"
_OPERAND = r"[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(frozen=True, kw_only=True)
class KnownPlugin:
    """A credential plugin.

    Attributes:
        words: The words that must stand among its arguments, in this order, beside options: what asks for a token.
        options: The options that may stand there: each name, and the form of its value; None where it takes none.
        operands: How many other words may follow.
        variables: What the kubeconfig's `env` may set.
        inherited: Which variables of klepaas' own environment it gets, besides paths, locale and proxies.
    """

    words: tuple[str, ...] = ()
    options: Mapping[str, str | None] = field(default_factory=dict)
    operands: int = 0
    variables: frozenset[str] = frozenset()
    inherited: frozenset[str] = frozenset()


def objection_to_words(plugin: KnownPlugin, words: Sequence[str]) -> str | None:
    """Why a plugin may not be started with these arguments. None: it may.

    Args:
        plugin: The plugin.
        words: The arguments.
    """
    operands: list[str] = []
    waiting = list(reversed(words))
    while waiting:
        word = waiting.pop()
        if not word.startswith("-"):
            operands.append(word)
            continue
        name, sign, value = word.partition("=")
        if name not in plugin.options:
            return f"is given the option {limit_length(name, 60)}"
        form = plugin.options[name]
        if form is None:
            form, value = r"true|false", value if sign else "true"
        elif not sign:
            value = waiting.pop() if waiting else ""
        if not re.fullmatch(form, value):
            return f"is given a value for {name} that klepaas does not pass on"
    asked = tuple(operands[: len(plugin.words)])
    more = operands[len(plugin.words) :]
    if asked != plugin.words or len(more) > plugin.operands or not all(re.fullmatch(_OPERAND, word) for word in more):
        return "is not asked for a token alone"
    return None


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_AWS_OWN = _names(
    "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE AWS_REGION "
    "AWS_DEFAULT_REGION AWS_ROLE_SESSION_NAME AWS_STS_REGIONAL_ENDPOINTS AWS_SDK_LOAD_CONFIG AWS_USE_FIPS_ENDPOINT "
    "AWS_USE_DUALSTACK_ENDPOINT AWS_EC2_METADATA_DISABLED AWS_MAX_ATTEMPTS AWS_RETRY_MODE AWS_DEFAULTS_MODE"
)
_AWS_INHERITED = _AWS_OWN | _names(
    "AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE AWS_CA_BUNDLE "
    "AWS_ENDPOINT_URL AWS_ENDPOINT_URL_STS AWS_ENDPOINT_URL_EKS AWS_ENDPOINT_URL_SSO AWS_ENDPOINT_URL_SSO_OIDC "
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS AWS_EC2_METADATA_SERVICE_ENDPOINT AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE "
    "AWS_METADATA_SERVICE_TIMEOUT AWS_METADATA_SERVICE_NUM_ATTEMPTS AWS_CONTAINER_CREDENTIALS_RELATIVE_URI "
    "AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
)
_OIDC: Mapping[str, str | None] = {
    **dict.fromkeys(("--oidc-client-id", "--oidc-client-secret", "--oidc-extra-scope", "--oidc-pkce-method"), _TEXT),
    **dict.fromkeys(("--grant-type", "--token-cache-storage", "--username", "--password"), _TEXT),
    **dict.fromkeys(("--certificate-authority", "--certificate-authority-data"), _TEXT),
    **dict.fromkeys(("--oidc-use-access-token", "--oidc-use-pkce", "--force-refresh", "--skip-open-browser"), None),
    "--oidc-issuer-url": _ISSUER,
    "--oidc-auth-request-extra-params": _ANY,
    "--authentication-timeout-sec": r"[0-9]{1,5}",
    "--listen-address": r"(?:localhost|127\.0\.0\.1|\[::1\]):[0-9]{1,5}",
    "--token-cache-dir": _OWN_CACHE,
    **dict.fromkeys(("-v", "--v"), _LEVEL),
    **{f"-v{level}": None for level in range(10)},
}
_AZURE: Mapping[str, str | None] = {
    **dict.fromkeys(("--login", "-l", "--server-id", "--client-id", "--tenant-id", "-t", "--environment", "-e"), _TEXT),
    **dict.fromkeys(("--client-secret", "--client-certificate", "--client-certificate-password"), _TEXT),
    **dict.fromkeys(("--identity-resource-id", "--pop-claims", "--login-hint"), _TEXT),
    **dict.fromkeys(("--legacy", "--pop-enabled", "--use-azurerm-env-vars"), None),
    "--timeout": r"[0-9]{1,5}[a-z]{0,2}",
}
_AZURE_OWN = _names(
    "AAD_LOGIN_METHOD AAD_SERVICE_PRINCIPAL_CLIENT_ID AAD_SERVICE_PRINCIPAL_CLIENT_SECRET "
    "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE_PASSWORD "
    "AAD_USER_PRINCIPAL_NAME AAD_USER_PRINCIPAL_PASSWORD AZURE_CLIENT_ID AZURE_CLIENT_SECRET AZURE_TENANT_ID "
    "AZURE_CLIENT_CERTIFICATE_PATH AZURE_CLIENT_CERTIFICATE_PASSWORD AZURE_USERNAME AZURE_PASSWORD "
    "ARM_CLIENT_ID ARM_CLIENT_SECRET ARM_TENANT_ID ARM_SUBSCRIPTION_ID ARM_CLIENT_CERTIFICATE_PATH "
    "ARM_CLIENT_CERTIFICATE_PASSWORD"
)
_GCLOUD_OWN = _names(
    "CLOUDSDK_ACTIVE_CONFIG_NAME CLOUDSDK_CORE_ACCOUNT CLOUDSDK_CORE_PROJECT USE_GKE_GCLOUD_AUTH_PLUGIN"
)
_AWS = KnownPlugin(
    words=("eks", "get-token"),
    options={
        **dict.fromkeys(("--cluster-name", "--cluster-id", "--role-arn", "--role", "--profile"), _TEXT),
        **dict.fromkeys(("--output", "--region"), _LABEL),
        "--no-cli-pager": None,
    },
    variables=_AWS_OWN,
    inherited=_AWS_INHERITED,
)
_OIDC_LOGIN = KnownPlugin(words=("get-token",), options=_OIDC)

KNOWN_PLUGINS: Mapping[str, KnownPlugin] = {
    "gke-gcloud-auth-plugin": KnownPlugin(
        options={
            "--use_application_default_credentials": None,
            **dict.fromkeys(("--project", "--cluster", "--impersonate_service_account"), _TEXT),
            "--location": _LABEL,
        },
        variables=_GCLOUD_OWN,
        inherited=_GCLOUD_OWN
        | _names(
            "CLOUDSDK_CONFIG CLOUDSDK_PYTHON CLOUDSDK_PYTHON_SITEPACKAGES CLOUDSDK_ROOT_DIR "
            "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE "
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE CLOUDSDK_CORE_UNIVERSE_DOMAIN "
            "CLOUDSDK_CONTAINER_USE_APPLICATION_DEFAULT_CREDENTIALS CLOUDSDK_PROXY_TYPE CLOUDSDK_PROXY_ADDRESS "
            "CLOUDSDK_PROXY_PORT CLOUDSDK_PROXY_RDNS CLOUDSDK_PROXY_USERNAME CLOUDSDK_PROXY_PASSWORD "
            "GOOGLE_APPLICATION_CREDENTIALS GOOGLE_CLOUD_PROJECT GOOGLE_CLOUD_QUOTA_PROJECT GCE_METADATA_HOST"
        ),
    ),
    "aws-iam-authenticator": KnownPlugin(
        words=("token",),
        options={
            **dict.fromkeys(("-i", "--cluster-id", "-r", "--role", "-s", "--session-name"), _TEXT),
            **dict.fromkeys(("-e", "--external-id"), _TEXT),
            "--region": _LABEL,
            **dict.fromkeys(("--forward-session-name", "--cache"), None),
        },
        variables=_AWS_OWN,
        inherited=_AWS_INHERITED,
    ),
    "aws": _AWS,
    "kubelogin": KnownPlugin(
        words=("get-token",),
        options={**_OIDC, **_AZURE},
        variables=_AZURE_OWN,
        inherited=_AZURE_OWN
        | _names("AZURE_AUTHORITY_HOST AZURE_CONFIG_DIR AZURE_FEDERATED_TOKEN_FILE AZURE_ENVIRONMENT ARM_ENVIRONMENT"),
    ),
    "kubectl-oidc_login": _OIDC_LOGIN,
    "kubectl": KnownPlugin(words=("oidc-login", "get-token"), options=_OIDC),
    "ncp-iam-authenticator": KnownPlugin(
        words=("token",),
        options={"--clusterUuid": _TEXT, "--profile": _TEXT, "--region": _LABEL},
        variables=_names("NCLOUD_ACCESS_KEY NCLOUD_ACCESS_KEY_ID NCLOUD_SECRET_KEY NCLOUD_SECRET_ACCESS_KEY"),
        inherited=_names(
            "NCLOUD_ACCESS_KEY NCLOUD_ACCESS_KEY_ID NCLOUD_SECRET_KEY NCLOUD_SECRET_ACCESS_KEY NCLOUD_API_GW"
        ),
    ),
    "doctl": KnownPlugin(
        words=("kubernetes", "cluster", "kubeconfig", "exec-credential"),
        options={"--version": r"v1(?:beta1|alpha1)?", "--context": _TEXT},
        operands=1,
        variables=_names("DIGITALOCEAN_CONTEXT DIGITALOCEAN_ACCESS_TOKEN"),
        inherited=_names("DIGITALOCEAN_CONTEXT DIGITALOCEAN_ACCESS_TOKEN DIGITALOCEAN_API_URL DIGITALOCEAN_CONFIG"),
    ),
    "oci": KnownPlugin(
        words=("ce", "cluster", "generate-token"),
        options={"--cluster-id": _TEXT, "--profile": _TEXT, "--auth": r"[a-z_]{1,40}", "--region": _LABEL},
        variables=_names(
            "OCI_CLI_PROFILE OCI_CLI_AUTH OCI_CLI_REGION OCI_CLI_TENANCY SUPPRESS_LABEL_WARNING "
            "OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING"
        ),
        inherited=_names(
            "OCI_CLI_PROFILE OCI_CLI_AUTH OCI_CLI_REGION OCI_CLI_TENANCY OCI_CLI_USER OCI_CLI_FINGERPRINT "
            "OCI_CLI_KEY_FILE OCI_CLI_KEY_CONTENT OCI_CLI_PASSPHRASE OCI_CLI_SECURITY_TOKEN_FILE "
            "OCI_CLI_CONFIG_FILE OCI_CLI_RC_FILE OCI_CLI_CERT_BUNDLE "
            "OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING SUPPRESS_LABEL_WARNING"
        ),
    ),
}
