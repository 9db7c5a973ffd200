"""An intent in the notes of its operation: its bodies encrypted as requests are, and gone when the operation ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from klepaas_plugins.deployments.executor.encoding import dump_intent, load_intent
from klepaas_plugins.deployments.executor.intent import Intent, ObjectIntent, ObjectKey, Payload, PayloadForm

if TYPE_CHECKING:
    from klepaas.operations import Run

__all__ = ["NOTE", "Journal", "has_intent"]

NOTE = "intent"


def has_intent(run: "Run") -> bool:
    """Whether the operation was begun by the executor.

    Args:
        run: The operation's attempt.
    """
    return NOTE in run.notes


@dataclass(frozen=True)
class Journal:
    """The intent of one operation.

    Attributes:
        run: The operation's attempt.
    """

    run: "Run"
    _bodies: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    async def seal(self, intent: Intent) -> Intent:
        """The intent with its bodies encrypted; this process knows them.

        Args:
            intent: The intent, with plain bodies.
        """
        objects = [await self._seal_one(one) for one in intent.objects]
        return replace(intent, objects=tuple(objects))

    async def _seal_one(self, one: ObjectIntent) -> ObjectIntent:
        if one.body is None or one.body.form is PayloadForm.ENCRYPTED:
            return one
        sealed = await self.run.seal(_name(one.key), one.body.content)
        self._bodies[_name(one.key)] = one.body.content
        return replace(one, body=Payload(PayloadForm.ENCRYPTED, {**sealed, "name": _name(one.key)}))

    def note_of(self, intent: Intent) -> dict[str, Any]:
        """What is noted of it.

        Args:
            intent: The intent, with sealed bodies.
        """
        return {NOTE: dump_intent(intent)}

    async def keep(self, intent: Intent) -> None:
        """Put it on record.

        Args:
            intent: The intent, with sealed bodies.
        """
        await self.run.note(**self.note_of(intent))

    async def load(self) -> Intent:
        """The intent on record, its bodies known to this process.

        Raises:
            StepUnknown: A body cannot be read any more.
            UnknownVersion: A newer klepaas wrote it.
        """
        intent = load_intent(self.run.notes[NOTE])
        for one in intent.objects:
            if one.body is not None and one.body.form is PayloadForm.ENCRYPTED:
                self._bodies[_name(one.key)] = await self.run.unseal(_name(one.key), one.body.content)
        return intent

    def open(self, payload: Payload) -> Mapping[str, Any]:
        """The document that a payload stands for.

        Args:
            payload: The payload.
        """
        return payload.content if payload.form is PayloadForm.PLAIN else self._bodies[payload.content["name"]]


def _name(key: ObjectKey) -> str:
    return f"{key.api_version} {key.kind} {key.namespace or ''}/{key.name}"
