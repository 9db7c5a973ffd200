"""Matchers as people write them (`severity="critical"`), and which of them may silence.

Whether a regular expression is one that Alertmanager takes is its own affair: it answers with a sentence.

Source: prometheus.io/docs/alerting/latest/configuration ("Label matchers").
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klepaas import names
from klepaas.errors import BadRequest
from klepaas.host import Host

__all__ = ["MATCHER", "Matcher", "note_on_namespaces", "parse", "specific"]

_FORM = re.compile(r"\s*+([a-zA-Z_][a-zA-Z0-9_]{0,127})\s*+(=~|!~|!=|=)(.*+)", re.DOTALL)
_MAX_CHARS = 300


@dataclass(frozen=True)
class Matcher:
    """One condition on a label.

    Attributes:
        name: The label.
        operator: "=", "!=", "=~" or "!~".
        value: The value, or the regular expression.
    """

    name: str
    operator: str
    value: str

    @property
    def text(self) -> str:
        """It as Alertmanager reads it."""
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.operator}"{quoted}"'

    @property
    def body(self) -> dict[str, Any]:
        """It as the API takes it."""
        is_equal, is_regex = not self.operator.startswith("!"), self.operator.endswith("~")
        return {"name": self.name, "value": self.value, "isRegex": is_regex, "isEqual": is_equal}

    @classmethod
    def of(cls, body: Any) -> "Matcher":
        """The matcher that the API shows."""
        found = body if isinstance(body, dict) else {}
        operator = ("=" if found.get("isEqual", True) else "!") + ("~" if found.get("isRegex") else "")
        return cls(str(found.get("name", "?")), "!=" if operator == "!" else operator, str(found.get("value", "")))


def _read(text: str) -> Matcher | None:
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    name, operator, value = found[1], found[2], found[3].strip()
    if value.startswith('"'):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    elif '"' in value:
        return None
    return Matcher(name, operator, value)


MATCHER = names.Check(
    "matcher",
    lambda text: names.TEXT.accepts(text) and _read(text) is not None,
    'a label, one of = != =~ !~, and a value: severity="critical"',
    _MAX_CHARS,
)


def parse(texts: Sequence[str]) -> list[Matcher]:
    """The matchers that were written.

    Args:
        texts: One each, checked by `MATCHER`.
    """
    return [found for text in texts if (found := _read(text)) is not None]


async def note_on_namespaces(host: Host, matchers: Sequence[Matcher]) -> str:
    """What to say of the namespaces that matchers name; called where no alert fits them. "": nothing.

    Args:
        host: The server's settings and shared services.
        matchers: The matchers.
    """
    from klepaas_plugins.kubernetes.client import missing_namespaces

    named = (one.value for one in matchers if one.name == "namespace" and one.operator == "=")
    return await missing_namespaces(host, (value for value in named if names.NAMESPACE.accepts(value)))


def specific(texts: Sequence[str]) -> list[Matcher]:
    """The matchers of a silence, which must name something: one for everything hides the next disaster.

    Args:
        texts: One each, checked by `MATCHER`.

    Raises:
        BadRequest: There are none, or none says what a label is.
    """
    found = parse(texts)
    if not any(one.operator == "=" and one.value for one in found):
        raise BadRequest(
            "A silence needs a matcher that says what a label is", next_step='Give one such as alertname="DiskFull"'
        )
    return found
