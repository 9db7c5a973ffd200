"""How the tools of applications are declared: the parameters that they share, and what all of a kind have in common."""

import re
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from klepaas import names
from klepaas.progress import DEFAULT_WAIT_S
from klepaas.tools import Effect, Tool

__all__ = [
    "COMMIT",
    "TOOLSET",
    "URL",
    "AppName",
    "ContextName",
    "DryRun",
    "Key",
    "Namespace",
    "Resources",
    "TakeOwnership",
    "Variables",
    "WaitS",
    "changing_tool",
    "reading_tool",
]

TOOLSET = "applications"
WAIT_MAX_S = 600
# Beyond the longest wait: looking, and putting the operation on record.
CHANGE_TIMEOUT_S = WAIT_MAX_S + 60.0

COMMIT = names.Check(
    "commit", lambda text: bool(re.fullmatch(r"[0-9a-fA-F]{7,64}", text)), "7 to 64 hexadecimal digits", max_chars=64
)
_KEY = names.Check(
    "idempotency key",
    lambda text: bool(re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", text)),
    "up to 128 letters, digits, '.', '_', ':' and '-'",
    max_chars=128,
)
URL = names.Check(
    "address",
    lambda text: bool(re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", text)),
    "an address such as https://shop.example",
    max_chars=512,
)
AppName = Annotated[str, names.APPLICATION]
Namespace = Annotated[str | None, names.NAMESPACE]
ContextName = Annotated[str | None, names.CONTEXT]
Variables = list[Annotated[str, names.ENVIRONMENT_ASSIGNMENT]]
Quantity = Annotated[str, names.QUANTITY]
WaitS = Annotated[int | None, Field(ge=0, le=WAIT_MAX_S, description=f"Seconds to wait; default {DEFAULT_WAIT_S:g}")]
DryRun = Annotated[bool, Field(description="Only show what would change")]
TakeOwnership = Annotated[bool, Field(description="Take over others' fields")]
Key = Annotated[str | None, _KEY]


class Resources(TypedDict, total=False):
    """What a container requests, and its limits."""

    cpu: Annotated[Quantity, Field(description="Requested: 250m")]
    memory: Annotated[Quantity, Field(description="Requested: 128Mi")]
    cpu_limit: Quantity
    memory_limit: Quantity


def changing_tool(
    function: Any,
    title: str,
    targets: Any,
    *,
    plan: Any = None,
    idempotent: bool = False,
    words: tuple[str, ...] = (),
    worst: Effect = Effect.DESTRUCTIVE,
    hint: str = "",
    always_load: bool = False,
) -> Tool:
    """A tool that changes an application.

    Args:
        function: What it does.
        title: Its title, for people.
        targets: What a call changes.
        plan: Gives the change of a call. None: it has none.
        idempotent: Whether the same call again changes nothing more.
        words: The words in which people wish for it, for the server's instructions.
        worst: Its effect at its worst.
        hint: What a search finds it by.
        always_load: Whether a client that loads tools by search has it from the beginning.
    """
    return Tool(
        function,
        Effect.WRITE,
        title,
        TOOLSET,
        foreign_text=True,
        idempotent=idempotent,
        timeout_s=CHANGE_TIMEOUT_S,
        targets=targets,
        plan=plan,
        words=words,
        search_hint=hint,
        always_load=always_load,
        worst=worst,  # 0 pods stop it; manifests and an earlier release take objects away
    )


def reading_tool(
    function: Any,
    title: str,
    words: tuple[str, ...],
    *,
    hint: str = "",
    always_load: bool = False,
) -> Tool:
    """A tool that looks at applications.

    Args:
        function: What it does.
        title: Its title, for people.
        words: The words in which people wish for it, for the server's instructions.
        hint: What a search finds it by.
        always_load: Whether a client that loads tools by search has it from the beginning.
    """
    return Tool(
        function,
        Effect.READ,
        title,
        TOOLSET,
        foreign_text=True,
        idempotent=True,
        words=words,
        search_hint=hint,
        always_load=always_load,
    )
