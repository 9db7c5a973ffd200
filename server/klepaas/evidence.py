"""Evidence: how the platform looks at the moment when an alert fires, as far as plugins can tell.

Every plugin may offer sources (`klepaas_alert_evidence`): the rollout, the pods' logs, key series. All are asked side
by side, each in a time limit of its own, so that one that hangs or fails harms only its own section. What they give is
cleaned, without secrets, and bounded. It keeps nothing: `klepaas.store.alerts` does.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import anyio

from klepaas.errors import KlepaasError
from klepaas.host import Host
from klepaas.names import Check
from klepaas.observability import one_line
from klepaas.output.budget import fit
from klepaas.output.safe import limit_length, redactable, safe_text
from klepaas.parameters import DeclarationError
from klepaas.resilience.fan_out import gather

if TYPE_CHECKING:
    from klepaas.plugins import Contribution, Plugins

__all__ = ["AlertEvidence", "AlertSubject", "EvidenceSource", "Found"]

log = logging.getLogger(__name__)

SECTION_BYTES = 12_000
_MOST_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class AlertSubject:
    """The alert that fires; its texts are somebody else's.

    Attributes:
        name: What it is called.
        severity: How grave it is said to be, or "".
        labels: All its labels: `namespace`, `pod`, `deployment`, `node`, ... where it is about such a thing.
        since: Since when it fires, in seconds since 1970.
        context: The context of the cluster that it is about, as far as the settings or its labels say. None: the
            default one.
    """

    name: str
    severity: str
    labels: Mapping[str, str]
    since: float
    context: str | None = None

    def named(self, label: str, check: Check) -> str | None:
        """What a label names. None: nothing, or nothing that could be such a name.

        An exporter's own namespace and pod stand in `namespace` and `pod` where Prometheus has renamed those that the
        metric is about to `exported_...`, so these come first.

        Args:
            label: The label.
            check: What it must be, before it may become part of a request.
        """
        for key in (f"exported_{label}", label):
            value = self.labels.get(key, "")
            if value and len(value) <= check.max_chars and check.accepts(value):
                return value
        return None


@dataclass(frozen=True)
class EvidenceSource:
    """Something that can tell how it looks.

    Attributes:
        name: What its section is called: "rollout".
        collect: Gives the section's text, or None where the alert is about nothing that it knows. It is called with a
            time limit and changes nothing.
        timeout_s: That limit, in seconds; at most 30.

    Raises:
        DeclarationError: It has no name, or no sensible limit.
    """

    name: str
    collect: Callable[[AlertSubject], Awaitable[str | None]]
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 60 or not self.name.isprintable():
            raise DeclarationError(f"{limit_length(self.name, 60)!r} is no name for a source of evidence")
        if not (math.isfinite(self.timeout_s) and 0 < self.timeout_s <= _MOST_TIMEOUT_S):
            raise DeclarationError(f"timeout_s of {self.name} is not between 0 and {_MOST_TIMEOUT_S:g}")


@dataclass(frozen=True)
class Found:
    """What one source found.

    Attributes:
        source: Its name.
        text: What it found, or why it could not look.
        failed: Whether it could not look.
    """

    source: str
    text: str
    failed: bool = False


@dataclass
class AlertEvidence:
    """Who can tell how it looks, for one server."""

    _offered: "list[Contribution[EvidenceSource]]" = field(default_factory=list)

    @classmethod
    def of(cls, host: Host) -> "AlertEvidence":
        """The host's own."""
        return host.service(cls, lambda _: cls())

    def collect(self, plugins: "Plugins", host: Host) -> None:
        """Ask every plugin for its sources.

        Args:
            plugins: The plugins to ask.
            host: What they get.
        """
        self._offered = list(plugins.contributions("klepaas_alert_evidence", EvidenceSource, host=host))

    async def of_alert(self, subject: AlertSubject) -> Sequence[Found]:
        """Ask everybody, side by side; what knows nothing of the alert is left out.

        Args:
            subject: The alert.
        """
        sources = [one.item for one in self._offered if one.plugin.reason is None]
        found: dict[int, Found] = {}

        async def ask(position: int, source: EvidenceSource) -> None:
            answer = await _asked(source, subject)
            if answer is not None:
                found[position] = answer

        await gather(*[partial(ask, position, source) for position, source in enumerate(sources)])
        return [found[position] for position in sorted(found)]


async def _asked(source: EvidenceSource, subject: AlertSubject) -> Found | None:
    try:
        with anyio.fail_after(source.timeout_s):
            text = await source.collect(subject)
    except TimeoutError:
        return Found(source.name, f"No answer within {source.timeout_s:g} s.", failed=True)
    except KlepaasError as exc:
        return Found(source.name, one_line(exc.line, 1000), failed=True)
    except Exception as exc:  # guarded boundary: a plugin's code
        log.warning("the evidence of %s failed: %s", source.name, type(exc).__name__, exc_info=exc)
        return Found(source.name, "It failed unexpectedly; the log says how.", failed=True)
    if not isinstance(text, str):
        return None
    return Found(source.name, fit(safe_text(redactable(text, 8 * SECTION_BYTES)), SECTION_BYTES, "It was not kept"))
