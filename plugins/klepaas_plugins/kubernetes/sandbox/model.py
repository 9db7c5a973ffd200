"""The few types every module of the sandbox shares, and the way it writes times.

Objects are plain JSON mappings and, once stored, are never changed in place: a write replaces the mapping.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

# The letters the API server draws random name endings from: no vowels, so no words.
_NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
# Sources: apiserver, GenerateName; the Deployment controller, generateReplicaSetName (since Kubernetes 1.34).
_BASE_CHARS, _NAME_CHARS = 58, 253


@dataclass(frozen=True)
class Timing:
    """How long the simulated cluster takes, in seconds.

    Args:
        pull_s: from binding to the image being there.
        start_s: from the image to the container running; also how long a crashing container lives.
        ready_s: from running to ready.
        slow_ready_s: the same for an image whose name holds `slow`.
        back_off_s: the first restart or pull back-off; it doubles with each failure, up to 300 s.
        complete_s: how long a container of a Job runs.
        stop_s: from a pod's deletion to its disappearance.
        namespace_s: how long a namespace stays Terminating at least.
        autoscaler_s: how long an autoscaler waits before its first look, and between two.
        establish_s: from a custom resource definition to its kinds being served; 0 serves them at once.
        deadline_scale: what progressDeadlineSeconds and minReadySeconds are multiplied by.
    """

    pull_s: float = 0.3
    start_s: float = 0.2
    ready_s: float = 0.3
    slow_ready_s: float = 20.0
    back_off_s: float = 1.0
    complete_s: float = 1.0
    stop_s: float = 0.2
    namespace_s: float = 0.5
    autoscaler_s: float = 1.5
    establish_s: float = 0.0
    deadline_scale: float = 0.1

    @classmethod
    def instant(cls) -> Timing:
        """Steps of 10 to 20 ms, for tests."""
        return cls(
            pull_s=0.01,
            start_s=0.01,
            ready_s=0.01,
            slow_ready_s=0.4,
            back_off_s=0.02,
            complete_s=0.02,
            stop_s=0.01,
            namespace_s=0.1,
            autoscaler_s=0.3,
            deadline_scale=0.02,
        )


def timestamp(at_s: float) -> str:
    """RFC 3339 in whole seconds, as metav1.Time is written."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(at_s: float) -> str:
    """RFC 3339 in microseconds, as metav1.MicroTime is written."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(text: str) -> float:
    """The Unix time a timestamp says, in seconds."""
    return datetime.fromisoformat(text).timestamp()


def new_uid() -> str:
    """A uid as the API server gives one."""
    return str(uuid.uuid4())


def name_suffix(length: int = 5) -> str:
    """A random name ending, as generateName appends."""
    return "".join(random.choices(_NAME_LETTERS, k=length))  # noqa: S311 - a name, not a secret


def generated_name(base: str) -> str:
    """The name that generateName gives: what it is made from is cut, so that the whole has 63 characters at most."""
    return base[:_BASE_CHARS] + name_suffix()


def pod_prefix(name: str) -> str:
    """What a controller of this name has its pods' names made from: with a dash, unless that would be too long."""
    return f"{name}-" if len(name) < _NAME_CHARS else name


def revision_name(name: str, suffix: str) -> str:
    """A ReplicaSet's or revision's name: its owner's, cut where the whole would be too long, and a hash."""
    return f"{name[: _NAME_CHARS - 1 - len(suffix)]}-{suffix}"


def hash_suffix(number: int) -> str:
    """A number's digits in the letters of names, as pod-template-hash is written."""
    return "".join(_NAME_LETTERS[ord(digit) % len(_NAME_LETTERS)] for digit in str(number))
