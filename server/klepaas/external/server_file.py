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

import difflib
import ipaddress
import json
import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from klepaas.external.declaration import PREFIX, PREFIX_MAX_CHARS, ExternalProvider, HttpServer, StdioServer, ToolRule
from klepaas.external.settings import ExternalSettings
from klepaas.host import Host
from klepaas.observability import one_line
from klepaas.output.redaction import is_secret_name, looks_secret, redact_text, vault
from klepaas.tools import Effect

__all__ = ["ConfiguredServer", "ServerFile", "ServerOptions", "ToolChoice", "configured"]

log = logging.getLogger(__name__)

FILE_MAX_BYTES = 1024 * 1024
MOST_SERVERS = 50
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ .-]{0,39}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")


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


@dataclass(frozen=True)
class ConfiguredServer:
    """One server of the file.

    Attributes:
        name: The name that the file gives it.
        prefix: What its tools' names begin with.
        kind: What it is.
        transport: How it is reached. None: the file leaves that to the plugin which knows this kind.
        env: Its environment, expanded.
        headers: Its headers, expanded.
        problem: Why it cannot be used, in one sentence without secrets. None: it can.
        options: What else the operator says of it.
    """

    name: str
    prefix: str
    kind: str = "generic"
    transport: StdioServer | HttpServer | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    problem: str | None = None
    options: ServerOptions = field(default_factory=ServerOptions)

    def provider(self) -> ExternalProvider:
        """The server as nobody knows it: all that is said of its tools is what the file says."""
        problem = self.problem
        if self.transport is None and problem is None:
            problem = f"{self.name} has neither a command nor a url"
        return ExternalProvider(self.name, self.transport or StdioServer(()), self.prefix, self.kind, problem=problem)

    def applied_to(self, provider: ExternalProvider) -> ExternalProvider:
        """A plugin's declaration of this server, with what the operator says of it.

        Args:
            provider: The declaration.
        """
        said: dict[str, Any] = {"strict": provider.strict or self.options.strict}
        for limit in ("boot_timeout_s", "call_timeout_s"):
            if getattr(self.options, limit) is not None:
                said[limit] = getattr(self.options, limit)

        def rules(upstream_name: str) -> list[ToolRule]:
            return [self._chosen(upstream_name, rule) for rule in provider.rules_for(upstream_name)]

        return replace(provider, tools=rules, **said)

    def _chosen(self, upstream_name: str, rule: ToolRule) -> ToolRule:
        choice = self.options.tools.get(upstream_name, ToolChoice())
        listed = rule.listed
        if self.options.listed is not None:
            names = (upstream_name, rule.name)
            listed = self.options.listed == "all" or any(name in self.options.listed for name in names)
        if choice.listed is not None:
            listed = choice.listed
        return replace(rule, effect=choice.effect or rule.effect, listed=listed)


class ServerFile:
    """The servers of one file.

    Args:
        path: The file. None: there is none.
        environment: What `${NAME}` stands for. None: the process's own.
    """

    def __init__(self, path: Path | None, environment: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.problem: str | None = None
        self.servers: list[ConfiguredServer] = []
        self.taken: set[str] = set()
        if path is not None:
            self._read(path, os.environ if environment is None else environment)

    @classmethod
    def of(cls, host: Host) -> "ServerFile":
        """The host's own, read once."""
        return host.service(cls, lambda _: cls(ExternalSettings().mcp_config))

    def get(self, name: str) -> ConfiguredServer | None:
        """The server of this name, or None."""
        return next((server for server in self.servers if server.name == name), None)

    def of_kind(self, kind: str) -> list[ConfiguredServer]:
        """The servers of one kind; whoever asks offers them.

        Args:
            kind: The kind.
        """
        self.taken.add(kind)
        return [server for server in self.servers if server.kind == kind]

    @property
    def left(self) -> list[ConfiguredServer]:
        """The servers that no plugin takes."""
        return [server for server in self.servers if server.kind not in self.taken]

    def _read(self, path: Path, environment: Mapping[str, str]) -> None:
        try:
            named = _servers_in(path)
        except _Trouble as exc:
            self.problem = f"The file of KLEPAAS_MCP_CONFIG cannot be used: {exc}"
            log.warning("%s", self.problem)
            return
        for name, said in list(named.items())[:MOST_SERVERS]:
            server = _server(name, said, environment)
            if server is not None:
                self.servers.append(server)
                if server.problem:
                    log.warning("the external server %s cannot be used: %s", one_line(name, 40), server.problem)


def configured(host: Host, kind: str) -> list[ConfiguredServer]:
    """The servers of a kind that the operator's file names; the plugin that asks offers them.

    Args:
        host: The server's settings and shared services.
        kind: The kind, for example "github".
    """
    return ServerFile.of(host).of_kind(kind)


class _Trouble(Exception):
    """What is wrong, in words without secrets."""


def _servers_in(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                # It names programs to run.
                raise _Trouble("others than its owner may write it; run chmod go-w on it")
            text = file.read(FILE_MAX_BYTES + 1)
    except OSError as exc:
        raise _Trouble(f"it cannot be read ({exc.strerror or type(exc).__name__})") from exc
    if len(text) > FILE_MAX_BYTES:
        raise _Trouble("it is longer than a MiB")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as exc:
        where = f" at line {exc.lineno}, column {exc.colno}" if isinstance(exc, json.JSONDecodeError) else ""
        raise _Trouble(f"it is not JSON{where}") from exc
    named = document.get("mcpServers") if isinstance(document, dict) else None
    if not isinstance(named, dict):
        raise _Trouble("it has no object under the key mcpServers")
    return named


def _server(name: str, said: Any, environment: Mapping[str, str]) -> ConfiguredServer | None:
    """One server of the file; None where the operator disabled it."""
    shown = name if _NAME.fullmatch(name) else one_line(ascii(name), 40)
    prefix = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not PREFIX.fullmatch(prefix) or len(prefix) > PREFIX_MAX_CHARS:
        prefix = "mcp"
    if not isinstance(said, dict):
        return ConfiguredServer(shown, prefix, problem=f"{shown} is not an object")
    if said.get("disabled") is True:
        return None
    options = ServerOptions()
    try:
        options = _options(said.get("klepaas", {}))
        prefix = options.prefix or prefix
        env = _expanded(said.get("env", {}), environment, "env")
        headers = _expanded(said.get("headers", {}), environment, "headers")
        transport = _transport(said, options, env, headers, environment)
    except _Trouble as exc:
        return ConfiguredServer(shown, prefix, options.kind, problem=f"{shown}: {exc}", options=options)
    return ConfiguredServer(shown, prefix, options.kind, transport, env, headers, options=options)


def _options(said: Any) -> ServerOptions:
    try:
        return ServerOptions.model_validate(said)
    except ValidationError as exc:
        error = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(["klepaas", *(str(part)[:40] for part in error["loc"])])
        if error["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(error["loc"][-1]), list(ServerOptions.model_fields), n=1)
            raise _Trouble(f"there is no {place}" + (f"; did you mean {near[0]}?" if near else "")) from exc
        raise _Trouble(f"{place}: {error['msg']}") from exc


def _expanded(said: Any, environment: Mapping[str, str], place: str) -> dict[str, str]:
    """The variables or headers, each secret kept by the vault."""
    if not isinstance(said, dict):
        raise _Trouble(f"{place} is not an object")
    found: dict[str, str] = {}
    for name, value in said.items():
        where = f"{place}.{one_line(name, 60)}"
        if not isinstance(value, str):
            raise _Trouble(f"{where} is not a text")
        if place == "headers" and not _HEADER.fullmatch(name):
            raise _Trouble(f"{where} is no name of a header")
        fixed = _VARIABLE.sub("", value)
        if _is_secret(fixed) or (is_secret_name(name) and fixed == value and value):
            raise _Trouble(f"{where} holds a secret itself; write ${{NAME}} and set the variable")
        found[name] = _expand(value, environment, where, secret=fixed != value)
    return found


def _is_secret(text: str) -> bool:
    """Whether a text is a secret by its form; a path is none, however random its folders are called."""
    return redact_text(text) != text or (looks_secret(text) and not text.startswith(("/", "./", "../", "~/")))


def _expand(value: str, environment: Mapping[str, str], where: str, *, secret: bool = False) -> str:
    def of_variable(match: re.Match[str]) -> str:
        known = environment.get(match[1], "")
        if not known and match[2] is None:
            raise _Trouble(f"{where} needs the variable {match[1]}, which is not set")
        if known and secret:
            vault.keep(known)
        return known or match[2]

    expanded = _VARIABLE.sub(of_variable, value)
    if re.search("[\x00\r\n]", expanded):
        raise _Trouble(f"{where} has a line end or a NUL in it")
    return expanded


def _transport(
    said: dict[str, Any],
    options: ServerOptions,
    env: dict[str, str],
    headers: dict[str, str],
    environment: Mapping[str, str],
) -> StdioServer | HttpServer | None:
    kind = said.get("type", said.get("transport"))
    if kind not in (None, "stdio", "http", "streamable-http", "streamable_http"):
        raise _Trouble(f"the transport {one_line(str(kind), 40)} is not spoken; use stdio or http")
    if "url" in said and "command" in said:
        raise _Trouble("it has both a command and a url")
    if "url" in said:
        return HttpServer(_url(said["url"], options, environment), headers)
    if "command" not in said:
        return None
    arguments = said.get("args", [])
    if not isinstance(arguments, list) or not all(isinstance(word, str) for word in [said["command"], *arguments]):
        raise _Trouble("its command and args are not texts")
    cwd = said.get("cwd")
    if cwd is not None and not isinstance(cwd, str):
        raise _Trouble("its cwd is not a text")
    return StdioServer(tuple(_words([said["command"], *arguments], environment)), env, cwd=cwd)


def _words(words: list[str], environment: Mapping[str, str]) -> Iterator[str]:
    for number, word in enumerate(words):
        where = f"args[{number - 1}]" if number else "command"
        secret = next((match[1] for match in _VARIABLE.finditer(word) if is_secret_name(match[1])), None)
        if secret is not None or _is_secret(word):
            # Every process of the machine may read a command's arguments.
            raise _Trouble(f"{where} holds a secret; give it to the server by env")
        yield _expand(word, environment, where)


def _url(said: Any, options: ServerOptions, environment: Mapping[str, str]) -> str:
    if not isinstance(said, str):
        raise _Trouble("its url is not a text")
    url = _expand(said, environment, "url")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise _Trouble("its url is not valid") from exc
    if parts.scheme not in ("http", "https") or not host or not url.isascii():
        raise _Trouble("its url is not one of https://")
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if parts.username or parts.password or any(is_secret_name(name) for name in names) or looks_secret(url):
        raise _Trouble("its url holds a secret; give it to the server by headers")
    if parts.scheme == "http" and not _is_loopback(host) and not options.insecure_http:
        raise _Trouble("its url is without TLS; use https, or set klepaas.insecure_http where the network is safe")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
