"""The external servers that an operator names, in a file of the shape that MCP clients know as `mcp.json`.

    {"mcpServers": {"wiki": {
        "command": "wiki-mcp", "args": ["--stdio"], "env": {"WIKI_TOKEN": "${WIKI_TOKEN}"},
        "klepaas": {"prefix": "wiki", "tools": {"get_page": "read", "save_page": {"effect": "write", "listed": true}}}
    }}}

`${NAME}` and `${NAME:-otherwise}` stand for variables of klepaas' own environment, where secrets belong: a secret that
stands in the file itself, or in a command's arguments, is refused. What is wrong with one server harms only that one;
it is then shown with its problem and not used. Nothing is connected here. Plugins read the servers of the kinds that
they know with `configured`; what no plugin takes is offered with the rules of the file alone.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from klepaas.host import Host
from klepaas.observability import one_line

if TYPE_CHECKING:
    from klepaas.external.configured import ConfiguredServer

__all__ = ["ServerFile", "configured"]

log = logging.getLogger(__name__)

MOST_SERVERS = 50


class ServerFile:
    """The servers of one file.

    Args:
        path: The file. None: there is none.
        environment: What `${NAME}` stands for. None: the process's own.
        named: Servers that are named elsewhere, in the settings' own file; a server of both is the file's.
    """

    def __init__(
        self,
        path: Path | None,
        environment: Mapping[str, str] | None = None,
        named: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.problem: str | None = None
        self.servers: list[ConfiguredServer] = []
        self.taken: set[str] = set()
        if path is not None or named:
            self._read(path, dict(named or {}), os.environ if environment is None else environment)

    @classmethod
    def of(cls, host: Host) -> "ServerFile":
        """The host's own, read once."""
        return host.service(cls, lambda _: _of_the_settings())

    def get(self, name: str) -> "ConfiguredServer | None":
        """The server of this name, or None."""
        return next((server for server in self.servers if server.name == name), None)

    def of_kind(self, kind: str) -> "list[ConfiguredServer]":
        """The servers of one kind; whoever asks offers them.

        Args:
            kind: The kind.
        """
        self.taken.add(kind)
        return [server for server in self.servers if server.kind == kind]

    @property
    def left(self) -> "list[ConfiguredServer]":
        """The servers that no plugin takes."""
        return [server for server in self.servers if server.kind not in self.taken]

    def _read(self, path: Path | None, named: dict[str, Any], environment: Mapping[str, str]) -> None:
        from klepaas.external.server_reading import Trouble, server_of, servers_in

        try:
            named |= servers_in(path) if path is not None else {}
        except Trouble as exc:
            self.problem = f"The file of KLEPAAS_MCP_CONFIG cannot be used: {exc}"
            log.warning("%s", self.problem)
        for name, said in list(named.items())[:MOST_SERVERS]:
            server = server_of(name, said, environment)
            if server is not None:
                self.servers.append(server)
                if server.problem:
                    log.warning("the external server %s cannot be used: %s", one_line(name, 40), server.problem)


def _of_the_settings() -> ServerFile:
    from klepaas.external.settings import ExternalSettings

    settings = ExternalSettings()
    return ServerFile(settings.mcp_config, named=settings.mcp_servers)


def configured(host: Host, kind: str) -> "list[ConfiguredServer]":
    """The servers of a kind that the operator's file names; the plugin that asks offers them.

    Args:
        host: The server's settings and shared services.
        kind: The kind, for example "github".
    """
    return ServerFile.of(host).of_kind(kind)
