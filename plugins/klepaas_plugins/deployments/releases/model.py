"""What a release is: everything an application owned at one moment, and how it went.

Plain data; nothing here reads a cluster. Values of Secrets are in none of it. Secret values of other objects are in
what was captured, and not in what a ConfigMap holds: see `hidden`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any

from klepaas.output.verdict import Claim, Verdict
from klepaas_plugins.deployments.objects import Object, at, images, name_of, when
from klepaas_plugins.deployments.releases.normal import content_digest, exact_digest

__all__ = ["Cause", "Key", "Release", "ReleaseState", "SecretReference", "Shared", "Snapshot", "key_of", "title_of"]

Key = tuple[str, str]
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


class ReleaseState(Enum):
    """How a release is, as its record says; an answer writes it by `Release.state_text`."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


class Cause(StrEnum):
    """What made a release."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    SCALE = "scale"
    RESTART = "restart"
    FOUND = "found"


def key_of(item: Object) -> Key:
    """An object's kind and name."""
    return str(item.get("kind") or ""), name_of(item)


def title_of(key: Key) -> str:
    """An object as a sentence names it: "ConfigMap web"."""
    return f"{key[0]} {key[1]}"


@dataclass(frozen=True)
class SecretReference:
    """A Secret that the application uses; what it holds is never read.

    Attributes:
        name: Its name.
        uid: Which Secret of that name it was. None: it was not there, or its metadata may not be read.
        version: Its resourceVersion then. None: as above.
        optional: Whether the pods start without it.
        readable: Whether its metadata could be read.
    """

    name: str
    uid: str | None = None
    version: str | None = None
    optional: bool = False
    readable: bool = True


@dataclass(frozen=True)
class Shared:
    """An object that the application uses but that is not its own, so that no rollback touches it.

    Attributes:
        kind: Its kind.
        name: Its name.
        digest: Of its content. None: it was not there.
        why: Why it is not the application's.
    """

    kind: str
    name: str
    digest: str | None
    why: str


@dataclass(frozen=True)
class Snapshot:
    """What an application owned at one moment, normalised.

    Attributes:
        app_name: The application.
        namespace: Its namespace.
        objects: Its objects, in the order in which they are restored.
        secrets: The Secrets that it uses.
        shared: What it uses and does not own.
        unseen: Kinds that could not be looked at, so that the snapshot says nothing about them.
        own: What klepaas owned of each object, as FieldsV1; an object of which it owned nothing is left out, and so are
            all of them in a record of an older version.
        live: The objects as the API gave them, by kind and name; empty in a stored snapshot.
    """

    app_name: str
    namespace: str
    objects: tuple[dict[str, Any], ...]
    secrets: tuple[SecretReference, ...] = ()
    shared: tuple[Shared, ...] = ()
    unseen: tuple[str, ...] = ()
    own: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict)
    live: Mapping[Key, Object] = field(default_factory=dict, compare=False, repr=False)

    @property
    def by_key(self) -> dict[Key, dict[str, Any]]:
        """The objects by kind and name."""
        return {key_of(item): item for item in self.objects}

    @property
    def workloads(self) -> list[dict[str, Any]]:
        """The objects that run pods."""
        return [item for item in self.objects if item.get("kind") in _WORKLOADS]

    @property
    def image(self) -> str:
        """Its images, in one text."""
        return ", ".join(dict.fromkeys(image for item in self.workloads for image in images(item)))

    @property
    def content(self) -> str:
        """The digest of what it would run: without pod numbers, restarts and notes."""
        return content_digest(self.objects)

    @property
    def exact(self) -> str:
        """The digest of all that it holds, without change causes and without what autoscalers decide."""
        return exact_digest(self.objects, self.autoscaled)

    @property
    def autoscaled(self) -> frozenset[Key]:
        """The workloads whose number of pods an autoscaler decides."""
        scalers = (item for item in self.objects if item.get("kind") == "HorizontalPodAutoscaler")
        aims = (at(item, "spec", "scaleTargetRef") or {} for item in scalers)
        return frozenset((str(aim.get("kind")), str(aim.get("name"))) for aim in aims)


@dataclass(frozen=True)
class Release:
    """One release of an application, as its record in the cluster says.

    Attributes:
        app_name: The application.
        number: Its number among the application's releases; 0: it could not be recorded.
        state: How it is.
        cause: What made it.
        title: What it is, in a few words.
        image: Its images.
        content: Digest of what it would run, without pod numbers, restarts and notes: the same for the same thing.
        created: When it was recorded, as the API says it.
        principal: On whose behalf.
        operation_id: The operation that made it.
        commit: The commit that it was built from. None: not known.
        restored_from: The number of the earlier release that it is the same as again. None: it is new.
        reason: Why it failed. None: it did not, or nobody said.
        exact: Digest of all that it holds, pod numbers too except where an autoscaler decides them.
        hidden: Keyed digest of the secret values in it; empty where it has none, or holds them itself.
        kind: The kind of the objects that hold it, ConfigMap or Secret.
        unrecorded: Why it could not be recorded. None: it was.
        snapshot: What it holds, where that is at hand; else `Releases.load` has it.
    """

    app_name: str
    number: int
    state: ReleaseState
    cause: Cause
    title: str
    image: str
    content: str
    created: str
    principal: str
    operation_id: str
    commit: str | None = None
    restored_from: int | None = None
    reason: str | None = None
    exact: str = ""
    unrecorded: str | None = None
    snapshot: Snapshot | None = field(default=None, repr=False, compare=False)
    hidden: str = ""
    kind: str = "ConfigMap"

    @property
    def text(self) -> str:
        """The release as a sentence names it."""
        return f"release {self.number} ({self.image or 'no workload'})" if self.number else "an unrecorded release"

    @property
    def state_text(self) -> str:
        """The state as an answer says it; it rests on the release's record."""
        seen = Verdict(observed=(f"record {self.number} of {self.app_name}",) if self.number else ())
        return seen.render(Claim.VERIFIED) if self.state is ReleaseState.PASSED else self.state.value

    @property
    def moment(self) -> datetime | None:
        """When it was recorded."""
        return when(self.created)
