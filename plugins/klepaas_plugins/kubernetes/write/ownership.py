"""Whom a change takes fields from: people's commands give them up, controllers refuse, and how fields change hands.

Owners are computed from managedFields before and after, since a removal raises no conflict with the server. What
changes hands is moved inside managedFields first, held to the version of the object; nothing is ever forced.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klepaas_plugins.kubernetes.client import FieldConflict
from klepaas_plugins.kubernetes.write.items import Finder
from klepaas_plugins.kubernetes.write.managers import Side, judge_manager
from klepaas_plugins.kubernetes.write.own_fields import (
    MANAGER,
    Entry,
    Path,
    Paths,
    entries_of,
    path_text,
    to_fields,
)

__all__ = ["Loss", "Transfer", "judge_losses", "losses_of", "transferred"]

FIELDS_MAX = 8
_AUTOSCALER = {"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale"}
_REPLICAS: Path = ("f:spec", "f:replicas")


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A field that a manager loses.

    Attributes:
        entry: The manager's entry.
        path: The field.
        must_move: Whether it has to be moved in managedFields; what goes with an item of ours needs no move.
        is_stale: Whether its manager sets it no more: it is the number of an autoscaler that is gone, or rests.
    """

    entry: Entry
    path: Path
    must_move: bool
    is_stale: bool = False

    def side(self, live: Mapping[str, Any]) -> Side:
        """Whether it may be taken over: what nobody sets any more is as good as a person's.

        Args:
            live: The object.
        """
        return Side.PERSON if self.is_stale else judge_manager(self.entry.manager, live).side


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What changes hands in managedFields before a change is sent.

    Attributes:
        claims: The paths that become klepaas' own, and nobody else's.
        is_fold: Whether entries that older versions of klepaas left are folded into the one of today.
        to_autoscaler: Whether the number of replicas becomes the autoscaler's.
    """

    claims: Paths = field(default_factory=frozenset)
    is_fold: bool = False
    to_autoscaler: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes hands."""
        return not self.claims and not self.is_fold and not self.to_autoscaler

    def as_data(self) -> dict[str, Any]:
        """The transfer as JSON data."""
        return {
            "claims": [list(path) for path in sorted(self.claims)],
            "is_fold": self.is_fold,
            "to_autoscaler": self.to_autoscaler,
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Transfer":
        """The transfer that JSON data stands for."""
        return cls(
            claims=frozenset(tuple(path) for path in data.get("claims") or ()),
            is_fold=bool(data.get("is_fold")),
            to_autoscaler=bool(data.get("to_autoscaler")),
        )


def losses_of(
    live: Mapping[str, Any], after: Mapping[str, Any], *, taken: Iterable[Path], removed: Iterable[Path]
) -> list[Loss]:
    """What other managers lose by a change.

    Args:
        live: The object as it is.
        after: The object as the server would make it, with every conflict forced.
        taken: Paths that get another value.
        removed: Paths that are to go, and may still be there because others own them.
    """
    taken, removed = frozenset(taken), list(removed)
    found = []
    now, then = Finder(live), Finder(after)
    for entry in entries_of(live):
        if entry.is_ours or entry.subresource == "status":
            continue
        for path in sorted(entry.paths):
            if any(path[: len(gone)] == gone for gone in removed) or path in taken:
                found.append(Loss(entry=entry, path=path, must_move=True))
            elif now.find(path)[0] and not then.find(path)[0]:
                found.append(Loss(entry=entry, path=path, must_move=False))
    return found


def judge_losses(losses: Sequence[Loss], live: Mapping[str, Any], title: str, *, take_ownership: bool) -> None:
    """Refuse to take fields from a controller, which would write them again.

    Args:
        losses: What other managers lose.
        live: The object.
        title: The object in words.
        take_ownership: Whether the caller wants the controllers' fields too.

    Raises:
        FieldConflict: A controller owns some of them, and they are not to be taken over.
    """
    refused = [loss for loss in losses if loss.side(live) is Side.CONTROLLER]
    if not refused or take_ownership:
        return
    by_manager: dict[str, list[str]] = {}
    for loss in refused:
        by_manager.setdefault(judge_manager(loss.entry.manager, live).text, []).append(path_text(loss.path))
    texts = [f"{name} owns {_list(paths)}" for name, paths in by_manager.items()]
    conflict = FieldConflict(
        f"Cannot change {title}: {'; '.join(texts)}, and would write its values again",
        next_step="Leave these fields out, change them where that manager reads them, "
        "or take them over with take_ownership=true",
    )
    conflict.owners = tuple((loss.entry.manager, f".{path_text(loss.path)}") for loss in refused)
    raise conflict


def _list(paths: Sequence[str]) -> str:
    shown = list(dict.fromkeys(paths))
    more = f" and {len(shown) - FIELDS_MAX} more" if len(shown) > FIELDS_MAX else ""
    return f"{', '.join(shown[:FIELDS_MAX])}{more}"


def transferred(live: Mapping[str, Any], transfer: Transfer, own: Paths, now: str) -> list[dict[str, Any]]:
    """The managedFields of an object after a transfer.

    Args:
        live: The object as it is.
        transfer: What changes hands.
        own: What klepaas owns, in whatever way it was written.
        now: The time, as Kubernetes writes it.
    """
    entries = entries_of(live)
    main = next((entry for entry in entries if entry.is_main), None)
    ours = (main.paths if main else frozenset()) | transfer.claims | (own if transfer.is_fold else frozenset())
    result = []
    for entry in entries:
        if entry.is_main or (transfer.is_fold and entry.is_ours):
            continue
        kept = entry.paths - transfer.claims if not entry.is_ours else entry.paths
        raw = copy.deepcopy(dict(entry.raw))
        if kept != entry.paths:
            raw["fieldsV1"] = to_fields(kept)
        result += [raw] if kept else []
    if transfer.to_autoscaler and _REPLICAS in ours:
        ours -= {_REPLICAS}
        result += [] if _has_other(result) else [_entry_of(live, {_REPLICAS}, now, **_AUTOSCALER)]
    if ours:
        version = main.api_version if main else str(live.get("apiVersion"))
        raw_time = str(main.raw.get("time")) if main and main.raw.get("time") else now
        result.append(_entry_of({"apiVersion": version}, ours, raw_time, manager=MANAGER, operation="Apply"))
    return result


def _has_other(entries: Iterable[Mapping[str, Any]]) -> bool:
    """Whether somebody else owns the number of replicas already."""
    return any("f:replicas" in ((one.get("fieldsV1") or {}).get("f:spec") or {}) for one in entries)


def _entry_of(live: Mapping[str, Any], paths: Iterable[Path], now: str, **who: str) -> dict[str, Any]:
    return {
        "apiVersion": live.get("apiVersion"),
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields(paths),
        **who,
    }
