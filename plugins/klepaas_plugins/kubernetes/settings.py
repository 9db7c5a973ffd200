"""What the Kubernetes plugin reads from its environment and its table in the settings file.

Nothing here is read from a tool's arguments: no caller can name a kubeconfig, a server or a program.
"""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from klepaas.settings import SettingsBase, Variable, Was

__all__ = ["KubernetesSettings"]

_SINCE, _REMOVE_IN = "0.1", "0.3"


class KubernetesSettings(SettingsBase):
    """The plugin's settings: `KUBECONFIG`, and `KLEPAAS_K8S_` with the field's name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_K8S_")
    table = "kubernetes"

    kubeconfig: Annotated[
        str,
        Variable("KLEPAAS_K8S_CONFIG_FILE", "KUBECONFIG"),
        Field(description="Kubeconfig files, joined by ':', as kubectl reads them; else `~/.kube/config`"),
    ] = ""
    context: Annotated[
        str | None,
        Was("KLEPAAS_KUBE_CONTEXT", _SINCE, _REMOVE_IN),
        Field(description="The context that calls without `context` use; else the kubeconfig's current one"),
    ] = None
    namespace: Annotated[
        str | None,
        Was("KLEPAAS_NAMESPACE", _SINCE, _REMOVE_IN),
        Field(description="The namespace that calls without `namespace` use; else the context's own"),
    ] = None
    connect_timeout_s: Annotated[
        float,
        Was("KLEPAAS_KUBE_CONNECT_TIMEOUT_S", _SINCE, _REMOVE_IN),
        Field(gt=0, le=60, description="Limit of one connect, in seconds"),
    ] = 5.0
    read_timeout_s: Annotated[
        float,
        Was("KLEPAAS_KUBE_READ_TIMEOUT_S", _SINCE, _REMOVE_IN),
        Field(gt=0, le=300, description="Limit of one answer, in seconds"),
    ] = 30.0
    exec_plugins: Annotated[
        tuple[str, ...],
        Was("KLEPAAS_KUBE_EXEC_PLUGINS", _SINCE, _REMOVE_IN),
        Field(description='More credential plugins that a kubeconfig may run: ["tsh"]'),
    ] = ()
    exec: Annotated[
        bool,
        Was("KLEPAAS_KUBE_EXEC", _SINCE, _REMOVE_IN),
        Field(description="Whether `k8s_exec` exists, which runs commands in containers"),
    ] = False
