"""What a message says: Jinja2 templates, the built-in ones or an operator's own, rendered for where they go.

Values are strangers' text: in Slack's dialect they can form no mention, link, formatting or code block of their own. A
template is the operator's; it runs in a sandbox all the same, and one that fails is replaced by the built-in one.
"""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from klepaas.notifications import Notification
from klepaas.observability import one_line, safe_text
from klepaas.output.safe import shorten
from klepaas_plugins.notifications.texts import BUILT_IN, DEFAULT

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

__all__ = ["Dialect", "TemplateProblem", "Wording"]

log = logging.getLogger(__name__)

_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
_VARIABLES = frozenset({"kind", "title", "text", "facts", "id", "at"})
_TEMPLATE_MAX_BYTES = 16 * 1024
_MESSAGE_MAX_CHARS = 3500
_EVIDENCE_MAX_CHARS = 2500
_SHOUT = re.compile(r"@(?=here\b|channel\b|everyone\b)", re.IGNORECASE)


class Dialect(StrEnum):
    """How a place reads text."""

    PLAIN = "plain"
    SLACK = "slack"
    SLACK_WITHOUT_LINKS = "slack_without_links"
    """For a way on which Slack cannot be asked to leave links alone."""


class TemplateProblem(Exception):
    """An operator's template cannot be used; its text is one sentence."""


class _Ready(str):
    """Text that is escaped already."""

    __slots__ = ()


class Wording:
    """The words of one server.

    Args:
        language: "en" or "ko".
        folder: Where the operator's templates are. None: there are none.
    """

    def __init__(self, language: str, folder: Path | None) -> None:
        self._language = language
        self._folder = folder

    async def of(self, notification: Notification, dialect: Dialect) -> tuple[str, str]:
        """The title and the rest of a message; the rest may be empty.

        Args:
            notification: What it tells of.
            dialect: Where it goes.
        """
        return await anyio.to_thread.run_sync(self._of, notification, dialect, abandon_on_cancel=True)

    def problems(self) -> Iterator[str]:
        """What is wrong with the operator's templates, a sentence each; blocks."""
        if self._folder is None:
            return
        if not self._folder.is_dir():
            yield f"{self._folder} is no folder"
            return
        for path in sorted(self._folder.glob("*.txt")):
            try:
                _rendered(_read(path), _SAMPLE, Dialect.SLACK)
            except TemplateProblem as exc:
                yield f"{path.name}: {exc}"

    def _of(self, notification: Notification, dialect: Dialect) -> tuple[str, str]:
        kind = notification.kind if _KIND.fullmatch(notification.kind) else DEFAULT
        try:
            own = self._own(kind)
            if own is not None:
                return _rendered(own, notification, dialect)
        except TemplateProblem as exc:
            log.warning("the template for %s cannot be used, the built-in one is: %s", kind, exc)
        texts = BUILT_IN[self._language]
        return _rendered(texts.get(kind, texts[DEFAULT]), notification, dialect)

    def _own(self, kind: str) -> str | None:
        if self._folder is None:
            return None
        for name in (f"{kind}.{self._language}.txt", f"{kind}.txt"):
            path = self._folder / name
            if path.is_file():
                return _read(path)
        return None


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _TEMPLATE_MAX_BYTES:
            raise TemplateProblem(f"it is longer than {_TEMPLATE_MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise TemplateProblem(f"it cannot be read ({type(exc).__name__})") from exc


def _rendered(source: str, notification: Notification, dialect: Dialect) -> tuple[str, str]:
    """The first line that is not empty, and the rest.

    Raises:
        TemplateProblem: The template fails.
    """
    from jinja2 import TemplateError, meta

    environment = _environment(dialect)
    values = {name: getattr(notification, name) for name in _VARIABLES}
    values["at"] = datetime.fromtimestamp(notification.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    try:
        unknown = meta.find_undeclared_variables(environment.parse(source)) - _VARIABLES
        if unknown:
            raise TemplateProblem(f"there is no {sorted(unknown)[0]!r}; there are {', '.join(sorted(_VARIABLES))}")
        said = _limited(environment.from_string(source).generate(values))
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as exc:
        raise TemplateProblem(one_line(f"{type(exc).__name__}: {exc}", 200)) from exc
    title, _, rest = safe_text(said).strip().partition("\n")
    if not title:
        raise TemplateProblem("it gives no text")
    return title.strip(), rest.strip()


def _limited(parts: Iterator[str]) -> str:
    """As much as a message may hold; a template without end is not run to its end."""
    said = ""
    for part in parts:
        said += part
        if len(said) > _MESSAGE_MAX_CHARS:
            return shorten(said, _MESSAGE_MAX_CHARS, " ...")
    return said


def _environment(dialect: Dialect) -> "SandboxedEnvironment":
    from jinja2 import ChainableUndefined
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        """Without the operators that make much of little."""

        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            raise SecurityError(f"templates have no operator {operator}")

    def finalize(value: Any) -> str:
        return value if isinstance(value, _Ready) else _escaped("" if value is None else str(value), dialect)

    def evidence(value: Any) -> str:
        text = _escaped(shorten(str(value), _EVIDENCE_MAX_CHARS, ""), dialect).strip()
        return _Ready(f"```\n{text}\n```" if text and dialect is not Dialect.PLAIN else text)

    # Not HTML: each dialect has its own rules, which `finalize` applies to every value.
    environment = Sandbox(autoescape=False, finalize=finalize, undefined=ChainableUndefined)
    environment.filters["evidence"] = evidence
    return environment


def _escaped(text: str, dialect: Dialect) -> str:
    """A stranger's text as the dialect takes it for text.

    Source: docs.slack.dev/messaging/formatting-message-text (the three characters to escape).
    """
    if dialect is Dialect.PLAIN:
        return text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")
    text = _SHOUT.sub("＠", text)
    return text.replace("://", "[:]//") if dialect is Dialect.SLACK_WITHOUT_LINKS else text


_SAMPLE = Notification(
    "sample",
    "web in shop runs web:1.2",
    "web of pod web-1 ended with exit code 1",
    {"url": "https://shop.example", "upstream": "kubernetes/prod", "status": "unhealthy", "code": "timeout"},
)
