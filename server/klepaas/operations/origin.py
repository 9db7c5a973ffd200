"""With what right an operation was begun: who acted, at the upstream and here, and how the gate let the call through.

Plain data that an operation keeps in the clear: a user's name is no secret, and of groups, which may be many, it keeps
a digest. What has to hold again is `klepaas.operations.resuming`'s affair.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from klepaas.permits import Permit

__all__ = ["ActingUser", "Origin"]

_DIGEST_CHARS = 32


@dataclass(frozen=True)
class ActingUser:
    """Whom an upstream takes a process for, by its credentials.

    Attributes:
        name: The user's name there.
        groups_digest: The same for the same groups, in whatever order.
    """

    name: str
    groups_digest: str

    @classmethod
    def of(cls, name: str, groups: Iterable[str]) -> "ActingUser":
        """The user of a name and of groups."""
        text = json.dumps(sorted(set(groups)))
        return cls(name, hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS])


@dataclass(frozen=True, kw_only=True)
class Origin:
    """With what right an operation was begun.

    Attributes:
        process_owner: Whose process began it (`Principal.owner`).
        user: Whom the upstream took that process for. None: it did not tell.
        permit: How the gate let the call through. None: no call of a tool began it.
    """

    process_owner: str
    user: ActingUser | None = None
    permit: Permit | None = None

    def as_json(self) -> dict[str, Any]:
        """The origin as an operation keeps it."""
        return {
            "process_owner": self.process_owner,
            "user": None if self.user is None else [self.user.name, self.user.groups_digest],
            "permit": None if self.permit is None else self.permit.as_json(),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Origin":
        """The origin that an operation kept."""
        user, permit = kept.get("user"), kept.get("permit")
        return cls(
            process_owner=str(kept["process_owner"]),
            user=None if user is None else ActingUser(str(user[0]), str(user[1])),
            permit=None if permit is None else Permit.from_json(permit),
        )
