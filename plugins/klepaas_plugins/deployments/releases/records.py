"""A release as the name, labels and annotations of a ConfigMap or Secret, and back; see docs/releases.md for the names.

What a list needs stands in labels and annotations, so that listing reads no data. What comes back was perhaps written
by somebody else: what makes no sense is no release. Pure.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from klepaas.output.redaction import MARK, redact_text
from klepaas_plugins.deployments.objects import Object, annotation, labels, name_of, one_line, uid
from klepaas_plugins.deployments.releases.encoding import Encoded
from klepaas_plugins.deployments.releases.model import Cause, Release, ReleaseState
from klepaas_plugins.kubernetes.client import masking

__all__ = [
    "APPLICATION",
    "CONFIG_MAP",
    "SECRET",
    "TYPE",
    "Head",
    "Part",
    "key_of",
    "mixed_patch",
    "name_for",
    "new_record",
    "parsed",
    "state_patch",
]

CONFIG_MAP, SECRET = "ConfigMap", "Secret"
# The type of the Secrets.
TYPE = "klepaas.io/release.v1"
_PREFIX = "klepaas.io/"
APPLICATION, _NUMBER, _STATE, _CAUSE, _CONTENT, _OPERATION = (
    f"{_PREFIX}{name}" for name in ("application", "release", "state", "cause", "content", "operation")
)
_IMAGE, _TITLE, _PRINCIPAL, _COMMIT, _RESTORED, _REASON, _PARTS, _EXACT, _DIGEST = (
    f"{_PREFIX}{name}"
    for name in ("image", "title", "principal", "commit", "restored-from", "reason", "parts", "exact", "digest")
)
_HIDDEN, _IN_SECRETS = f"{_PREFIX}hidden", f"{_PREFIX}in-secrets"
# What `_IN_SECRETS` says where no release is in a Secret.
_NONE = "none"
# The application's name, where the label holds its digest.
_WHOLE_NAME = f"{_PREFIX}application-name"
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_KEY = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(
    r"klepaas\.release\.(?P<app>[a-z0-9-]+|sha256\.[0-9a-f]{40})\.(?P<number>[1-9][0-9]{0,8})(?:\.part(?P<part>[0-9]{1,3}))?"
)
_MOST_CHARS = 1000


@dataclass(frozen=True)
class Head:
    """The object that stands for a release.

    Attributes:
        release: The release.
        name: The object's name.
        uid: Which object of that name.
        parts: How many objects hold the release, this one included.
        is_alone: Whether no release was in a Secret when it was recorded, nor has one been put there since.
    """

    release: Release
    name: str
    uid: str
    parts: int
    is_alone: bool = False


@dataclass(frozen=True)
class Part:
    """A further object of a release.

    Attributes:
        number: The release's number.
        name: The object's name.
        uid: Which object of that name.
        kind: ConfigMap or Secret.
    """

    number: int
    name: str
    uid: str
    kind: str


def key_of(app_name: str) -> str:
    """An application's name as a label and an object's name hold it: itself, or a digest where it does not fit.

    A digest has a dot, which no name has that stands for itself.
    """
    if _KEY.fullmatch(app_name):
        return app_name
    return f"sha256.{hashlib.sha256(app_name.encode('utf-8')).hexdigest()[:40]}"


def name_for(app_name: str, number: int, part: int = 1) -> str:
    """The name of the object that holds a part of a release, from 1 on."""
    return f"klepaas.release.{key_of(app_name)}.{number}" + (f".part{part}" if part > 1 else "")


def operation_label(operation_id: str) -> str:
    """An operation's id as a label holds it."""
    if _LABEL_VALUE.fullmatch(operation_id):
        return operation_id
    return hashlib.sha256(operation_id.encode("utf-8")).hexdigest()[:40]


def new_record(release: Release, encoded: Encoded, part: int, *, is_alone: bool) -> dict[str, Any]:
    """The object to create for a part of a release.

    Its labels are klepaas' own alone, so that no tool takes it for a part of the application.

    Args:
        release: The release.
        encoded: What it holds.
        part: Which part, from 1 on.
        is_alone: Whether no release is in a Secret.
    """
    marks = {APPLICATION: key_of(release.app_name)}
    notes: dict[str, str | None] = {_DIGEST: encoded.digest}
    if key_of(release.app_name) != release.app_name:
        notes[_WHOLE_NAME] = release.app_name
    if part == 1:
        marks |= {
            _NUMBER: str(release.number),
            _STATE: release.state.value,
            _CAUSE: release.cause.value,
            _CONTENT: release.content,
        }
        notes |= {_IMAGE: release.image, _TITLE: release.title, _PRINCIPAL: release.principal, _EXACT: release.exact}
        notes |= {_COMMIT: release.commit, _PARTS: str(len(encoded.parts)), _REASON: release.reason}
        notes |= {_RESTORED: str(release.restored_from) if release.restored_from else None, _HIDDEN: release.hidden}
        notes |= {_IN_SECRETS: _NONE if is_alone and release.kind == CONFIG_MAP else None}
    if release.operation_id:
        marks[_OPERATION] = operation_label(release.operation_id)
    return {
        "apiVersion": "v1",
        "kind": release.kind,
        "metadata": {
            "name": name_for(release.app_name, release.number, part),
            "labels": marks,
            "annotations": {key: _safe(text) for key, text in notes.items() if text},
        },
        **({"type": TYPE} if release.kind == SECRET else {}),
        "immutable": True,
        **encoded.data(part - 1, release.kind),
    }


def state_patch(state: ReleaseState, reason: str | None) -> dict[str, Any]:
    """The patch that marks a release; the data stay as they are."""
    return {
        "metadata": {
            "labels": {_STATE: state.value},
            "annotations": {_REASON: _safe(reason) if reason else None},
        }
    }


def mixed_patch() -> dict[str, Any]:
    """The patch that takes it back that no release is in a Secret."""
    return {"metadata": {"annotations": {_IN_SECRETS: None}}}


def _safe(text: str) -> str:
    # The client writes no redaction marks, lest somebody's masked value be stored for the real one.
    return one_line(redact_text(masking.mask_text(text)).replace(MARK, "(hidden)"), _MOST_CHARS)


def parsed(item: Object, app_name: str, kind: str) -> Head | Part | None:
    """What an object's metadata say. None: it is no record of this application.

    Args:
        item: The object, or its metadata.
        app_name: The application.
        kind: ConfigMap or Secret.
    """
    match = _NAME.fullmatch(name_of(item))
    if match is None or match["app"] != key_of(app_name):
        return None
    number = int(match["number"])
    if match["part"]:
        return Part(number, name_of(item), uid(item), kind)
    release = _release(item, app_name, number, kind)
    parts = annotation(item, _PARTS) or "1"
    if release is None or not _is_small(parts):
        return None
    is_alone = kind == CONFIG_MAP and annotation(item, _IN_SECRETS) == _NONE
    return Head(release, name_of(item), uid(item), int(parts), is_alone)


def _is_small(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 4


def _release(item: Object, app_name: str, number: int, kind: str) -> Release | None:
    marks: Mapping[str, str] = labels(item)
    try:
        state, cause = ReleaseState(marks.get(_STATE, "")), Cause(marks.get(_CAUSE, ""))
    except ValueError:
        return None
    restored = annotation(item, _RESTORED) or ""
    return Release(
        app_name,
        number,
        state,
        cause,
        title=annotation(item, _TITLE) or "",
        image=annotation(item, _IMAGE) or "",
        content=marks.get(_CONTENT, ""),
        created=str((item.get("metadata") or {}).get("creationTimestamp") or ""),
        principal=annotation(item, _PRINCIPAL) or "",
        operation_id=marks.get(_OPERATION, ""),
        commit=annotation(item, _COMMIT),
        restored_from=int(restored) if restored.isascii() and restored.isdigit() else None,
        reason=annotation(item, _REASON),
        exact=annotation(item, _EXACT) or "",
        hidden=annotation(item, _HIDDEN) or "",
        kind=kind,
    )
