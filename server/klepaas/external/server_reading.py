"""Reads the servers of an `mcp.json`: fills in variables, refuses secrets, names what is wrong without quoting it."""

import difflib
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import ValidationError

from klepaas.external.configured import ConfiguredServer
from klepaas.external.declaration import PREFIX, PREFIX_MAX_CHARS, HttpServer, StdioServer
from klepaas.external.server_options import ServerOptions
from klepaas.foreign_json import TooDeep, parse_json
from klepaas.observability import one_line
from klepaas.output.quoting import quote
from klepaas.output.redaction import is_secret_name, looks_secret, redact_text, vault
from klepaas.output.safe import limit_length
from klepaas.portability.writers import find_other_writer

__all__ = ["Trouble", "server_of", "servers_in"]

FILE_MAX_BYTES = 1024 * 1024
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]{0,1000}))?\}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ .-]{0,39}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")


class Trouble(Exception):
    """What is wrong, in words without secrets."""


def servers_in(path: Path) -> dict[str, Any]:
    """What a file says of each server, by name.

    Args:
        path: The file.

    Raises:
        Trouble: It cannot be used.
    """
    try:
        with path.open("rb") as file:
            writer = find_other_writer(path)  # it names programs to run
            if writer is not None:
                raise Trouble(f"{writer.reason}; run {writer.repair}")
            text = file.read(FILE_MAX_BYTES + 1)
    except OSError as exc:
        raise Trouble(f"it cannot be read ({exc.strerror or type(exc).__name__})") from exc
    if len(text) > FILE_MAX_BYTES:
        raise Trouble("it is longer than a MiB")
    try:
        document = parse_json(text)
    except ValueError as exc:
        where = f" at line {exc.lineno}, column {exc.colno}" if isinstance(exc, json.JSONDecodeError) else ""
        raise Trouble(str(exc) if isinstance(exc, TooDeep) else f"it is not JSON{where}") from exc
    named = document.get("mcpServers") if isinstance(document, dict) else None
    if not isinstance(named, dict):
        raise Trouble("it has no object under the key mcpServers")
    return named


def server_of(name: str, said: Any, environment: Mapping[str, str]) -> ConfiguredServer | None:
    """One server of the file; None where the operator disabled it.

    Args:
        name: The name that the file gives it.
        said: What the file says of it.
        environment: What `${NAME}` stands for.
    """
    shown = name if _NAME.fullmatch(name) else quote(name, 40)
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
    except Trouble as exc:
        return ConfiguredServer(shown, prefix, options.kind, problem=f"{shown}: {exc}", options=options)
    return ConfiguredServer(shown, prefix, options.kind, transport, env, headers, options=options)


def _options(said: Any) -> ServerOptions:
    try:
        return ServerOptions.model_validate(said)
    except ValidationError as exc:
        error = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(["klepaas", *(limit_length(str(part), 40) for part in error["loc"])])
        if error["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(error["loc"][-1]), list(ServerOptions.model_fields), n=1)
            raise Trouble(f"there is no {place}" + (f"; did you mean {near[0]}?" if near else "")) from exc
        raise Trouble(f"{place}: {error['msg']}") from exc


def _expanded(said: Any, environment: Mapping[str, str], place: str) -> dict[str, str]:
    """The variables or headers, each secret kept by the vault."""
    if not isinstance(said, dict):
        raise Trouble(f"{place} is not an object")
    found: dict[str, str] = {}
    for name, value in said.items():
        where = f"{place}.{one_line(name, 60)}"
        if not isinstance(value, str):
            raise Trouble(f"{where} is not a text")
        if place == "headers" and not _HEADER.fullmatch(name):
            raise Trouble(f"{where} is no name of a header")
        fixed = _VARIABLE.sub("", value)
        if _is_secret(fixed) or (is_secret_name(name) and fixed == value and value):
            raise Trouble(f"{where} holds a secret itself; write ${{NAME}} and set the variable")
        found[name] = _expand(value, environment, where, secret=fixed != value)
    return found


def _is_secret(text: str) -> bool:
    """Whether a text is a secret by its form; a path is none, however random its folders are called."""
    return redact_text(text) != text or (looks_secret(text) and not text.startswith(("/", "./", "../", "~/")))


def _expand(value: str, environment: Mapping[str, str], where: str, *, secret: bool = False) -> str:
    def of_variable(match: re.Match[str]) -> str:
        known = environment.get(match[1], "")
        if not known and match[2] is None:
            raise Trouble(f"{where} needs the variable {match[1]}, which is not set")
        if known and secret:
            vault.keep(known)
        return known or match[2]

    expanded = _VARIABLE.sub(of_variable, value)
    if re.search("[\x00\r\n]", expanded):
        raise Trouble(f"{where} has a line end or a NUL in it")
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
        raise Trouble(f"the transport {one_line(str(kind), 40)} is not spoken; use stdio or http")
    if "url" in said and "command" in said:
        raise Trouble("it has both a command and a url")
    if "url" in said:
        return HttpServer(_url(said["url"], options, environment), headers)
    if "command" not in said:
        return None
    arguments = said.get("args", [])
    if not isinstance(arguments, list) or not all(isinstance(word, str) for word in [said["command"], *arguments]):
        raise Trouble("its command and args are not texts")
    cwd = said.get("cwd")
    if cwd is not None and not isinstance(cwd, str):
        raise Trouble("its cwd is not a text")
    return StdioServer(tuple(_words([said["command"], *arguments], environment)), env, cwd=cwd)


def _words(words: list[str], environment: Mapping[str, str]) -> Iterator[str]:
    for number, word in enumerate(words):
        where = f"args[{number - 1}]" if number else "command"
        secret = next((match[1] for match in _VARIABLE.finditer(word) if is_secret_name(match[1])), None)
        if secret is not None or _is_secret(word):
            # Every process of the machine may read a command's arguments.
            raise Trouble(f"{where} holds a secret; give it to the server by env")
        yield _expand(word, environment, where)


def _url(said: Any, options: ServerOptions, environment: Mapping[str, str]) -> str:
    if not isinstance(said, str):
        raise Trouble("its url is not a text")
    url = _expand(said, environment, "url")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise Trouble("its url is not valid") from exc
    if parts.scheme not in ("http", "https") or not host or not url.isascii():
        raise Trouble("its url is not one of https://")
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if parts.username or parts.password or any(is_secret_name(name) for name in names) or looks_secret(url):
        raise Trouble("its url holds a secret; give it to the server by headers")
    if parts.scheme == "http" and not _is_loopback(host) and not options.insecure_http:
        raise Trouble("its url is without TLS; use https, or set klepaas.insecure_http where the network is safe")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
