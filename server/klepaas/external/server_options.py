"""What an operator can say of a server under the key `klepaas` of an `mcp.json`.

It is read when a file is named: the start without one need not pay for it.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from klepaas.external.declaration import PREFIX, PREFIX_MAX_CHARS
from klepaas.tools import Effect

__all__ = ["ServerOptions", "ToolChoice"]


class ToolChoice(BaseModel):
    """What an operator says of one tool, over whatever a plugin says.

    Attributes:
        effect: What a call may do. None: as the plugin says.
        listed: Whether clients are told of it at once. None: as the plugin says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    effect: Effect | None = None
    listed: bool | None = None


class ServerOptions(BaseModel):
    """The part of a server that is klepaas' own, under the key `klepaas`.

    Attributes:
        kind: What it is, so that the plugin which knows this kind takes it: "github".
        prefix: What its tools' names begin with. None: the server's name.
        tools: What the operator says of its tools, by the upstream's names.
        listed: The tools that clients are told of at once, by the upstream's names, or "all". None: as the rules say.
        boot_timeout_s: Longest time to start, in seconds. None: the default.
        call_timeout_s: Longest time of one attempt of a call, in seconds. None: the default.
        strict: Whether new tools must be trusted by a person, too.
        insecure_http: Whether an address without TLS may be of another machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(default="generic", pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    prefix: str | None = Field(default=None, pattern=rf"^{PREFIX.pattern}$", max_length=PREFIX_MAX_CHARS)
    tools: Mapping[str, ToolChoice] = Field(default_factory=dict)
    listed: tuple[str, ...] | Literal["all"] | None = None
    boot_timeout_s: float | None = Field(default=None, gt=0, le=300)
    call_timeout_s: float | None = Field(default=None, gt=0, le=300)
    strict: bool = False
    insecure_http: bool = False

    @field_validator("tools", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        """`"read"` is `{"effect": "read"}`."""
        if not isinstance(value, Mapping):
            return value
        return {name: {"effect": said} if isinstance(said, str) else said for name, said in value.items()}
