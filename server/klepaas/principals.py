"""On whose behalf a call is made: a principal always exists, on every transport.

    stdio and in memory   the operating system's user, who started the process
    HTTP on loopback      "local": somebody on this machine, told apart only by what the client calls itself

Names and numbers of users mean something on one machine alone, so a principal names it too: two users with the same
name on two machines that share a database are two.

FastMCP's own authorization is skipped on stdio, so nothing here rests on it. Identity over HTTP (validated tokens) will
be one more case in `principal_of`. It decides nothing: what a principal may do is the gate's affair.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from klepaas.foreign_json import parse_json
from klepaas.observability import one_line
from klepaas.portability.machines import machine_id
from klepaas.portability.users import current_user

if TYPE_CHECKING:
    from fastmcp import Context

__all__ = ["LOCAL", "Principal", "acting", "current_principal", "owners_of", "principal_of", "process_principal"]

# Over HTTP without identity nobody has a name.
LOCAL = "local"
_CLIENT_MAX_CHARS = 60


@dataclass(frozen=True)
class Principal:
    """Who makes a call.

    Attributes:
        name: The user's name, or `LOCAL`.
        transport: How the call came: "stdio", "memory" or "http"; "terminal" for what a person confirms at one.
        uid: The operating system's number of the user. None: not known, or the system has none, as Windows.
        client: What the client program calls itself; not proven. None: it did not say.
        realm: Where the name means this user: the machine. None: not known, as an earlier klepaas noted it.
    """

    name: str
    transport: str
    uid: int | None = None
    client: str | None = None
    realm: str | None = None

    @property
    def key(self) -> str:
        """What a plan or a question is bound to: nobody whose key is another may use it."""
        return json.dumps([self.transport, self.name, self.uid, self.client, self.realm])

    @property
    def owner(self) -> str:
        """Whose what outlives a call is: a user's own, whatever client and transport they come with."""
        is_nameless = self.transport == "http" and self.uid is None
        whose = [self.transport, self.name] if is_nameless else ["user", self.name if self.uid is None else self.uid]
        return json.dumps(whose if self.realm is None else [*whose, self.realm])

    @property
    def text(self) -> str:
        """The principal as a sentence names it."""
        who = "somebody on this machine" if self.name == LOCAL else self.name
        client = f", with the client {self.client}" if self.client else ""
        return f"{who} over {self.transport}{client}"


def owners_of(owner: str) -> tuple[str, ...]:
    """An owner as it is written now, and as an earlier klepaas wrote it, which named no machine.

    Args:
        owner: As `Principal.owner` gives it.
    """
    parts = parse_json(owner)
    return (owner, json.dumps(parts[:2])) if len(parts) > 2 else (owner,)


_current: ContextVar[Principal | None] = ContextVar("klepaas_principal", default=None)


def current_principal() -> Principal:
    """On whose behalf the work at hand is done; outside of any call, the process's own user."""
    return _current.get() or process_principal()


def process_principal() -> Principal:
    """The user that this process runs as, whoever calls."""
    return _user("process", None)


@contextmanager
def acting(principal: Principal) -> Iterator[Principal]:
    """Do what is inside on behalf of a principal.

    Args:
        principal: Whose.
    """
    token = _current.set(principal)
    try:
        yield principal
    finally:
        _current.reset(token)


def principal_of(context: "Context") -> Principal:
    """Who makes the call of this context.

    Args:
        context: FastMCP's, of a call.
    """
    client = _client_name(context)
    if context.transport in (None, "stdio"):
        return _user(context.transport or "memory", client)
    return Principal(LOCAL, "http", client=client, realm=machine_id())


def _user(transport: str, client: str | None) -> Principal:
    """The user that the process runs as."""
    name, uid = current_user()
    return Principal(name, transport, uid, client, machine_id())


def _client_name(context: "Context") -> str | None:
    try:
        said = context.session.client_params
    except RuntimeError:  # no session yet
        return None
    return one_line(said.client_info.name, _CLIENT_MAX_CHARS) or None if said and said.client_info else None
