"""What the Kubernetes plugin reads from its environment; the server's own settings are elsewhere.

Nothing here is read from a tool's arguments: no caller can name a kubeconfig, a server or a program.
"""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["KubernetesSettings"]


class KubernetesSettings(BaseSettings):
    """The plugin's settings: `KUBECONFIG`, and `KLEPAAS_` with the field's name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_", frozen=True, extra="ignore", populate_by_name=True)

    kubeconfig: Annotated[
        str, Field(validation_alias="KUBECONFIG", description="Kubeconfig files, as kubectl reads the variable")
    ] = ""
    kube_context: Annotated[str | None, Field(description="Default context; else the kubeconfig's own")] = None
    namespace: Annotated[str | None, Field(description="Default namespace; else the context's own")] = None
    kube_connect_timeout_s: Annotated[float, Field(gt=0, le=60, description="Limit of one connect, in seconds")] = 5.0
    kube_read_timeout_s: Annotated[float, Field(gt=0, le=300, description="Limit of one answer, in seconds")] = 30.0
    kube_exec_plugins: Annotated[
        tuple[str, ...], Field(description='More credential plugins a kubeconfig may run, as a JSON list: ["tsh"]')
    ] = ()
    kube_exec: Annotated[bool, Field(description="Whether k8s_exec exists, which runs commands in containers")] = False
