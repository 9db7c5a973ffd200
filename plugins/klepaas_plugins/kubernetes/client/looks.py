"""What one call, or one attempt of an operation, has seen of a cluster a moment ago, so that no part of it asks twice.

The same question is answered from what was seen, for a few seconds, until something is written or waited for. A write
is never made on a stale look all the same: it carries the uid and the resourceVersion that were seen, and the server
refuses it where these are not what is there; then everything is forgotten, and looked at again.
"""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio

from klepaas.errors import Forbidden, KlepaasError, NotFound
from klepaas.foreign_json import parse_json
from klepaas.offload import offload, size_of
from klepaas_plugins.kubernetes.client.cluster import Cluster
from klepaas_plugins.kubernetes.client.requests import JSON, Request
from klepaas_plugins.kubernetes.client.warnings import collect_warnings, repeat_warnings
from klepaas_plugins.kubernetes.errors import ObjectModified

__all__ = ["Looks", "forget_looks", "fresh", "looks_of", "remembering"]

MAX_AGE_S = 3.0
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class _Look:
    """An answer, as JSON or as the error that it was, and when it was asked for on the event loop's clock.

    With it what the server warned of.
    """

    answer: str | NotFound | Forbidden
    at_s: float
    warnings: tuple[str, ...] = ()


class Looks:
    """The answers of a cluster to one call, or to one attempt of an operation."""

    def __init__(self) -> None:
        self._looks: dict[Key, _Look] = {}
        self._asking: dict[Key, anyio.Lock] = {}
        self._epoch = 0

    @property
    def is_old(self) -> bool:
        """Whether nothing that was seen counts any more."""
        oldest_s = anyio.current_time() - MAX_AGE_S
        return all(look.at_s <= oldest_s for look in self._looks.values())

    def forget(self) -> None:
        """See everything anew: the cluster may have changed."""
        self._looks.clear()
        self._epoch += 1

    async def ask(self, cluster: "RememberingCluster", request: Request, *max_bytes: int) -> dict[str, Any]:
        """The answer to a question, which is asked once at a time.

        Args:
            cluster: Asks it.
            request: The question: a read, or a dry run.
            max_bytes: Longest accepted answer.

        Raises:
            KlepaasError: As the server answers.
        """
        key = _key(request)
        async with self._asking.setdefault(key, anyio.Lock()):
            known = None if cluster.is_fresh else await self._known(key)
            if known is not None:
                return known
            epoch, at_s = self._epoch, anyio.current_time()
            try:
                with collect_warnings() as warnings:
                    answer = await cluster.send(request, *max_bytes)
                repeat_warnings(warnings)
            except (NotFound, Forbidden) as exc:
                self._keep(key, _Look(exc, at_s), epoch)
                raise
            except ObjectModified:
                self._take_touched(request)
                raise
            self._keep(key, _Look(await _text(answer), at_s, tuple(warnings)), epoch)
            return answer

    async def change(self, cluster: "RememberingCluster", request: Request, *max_bytes: int) -> dict[str, Any]:
        """Send a change; what it makes untrue is forgotten, and its answer is the newest look at its object.

        Args:
            cluster: Sends it.
            request: The change.
            max_bytes: Longest accepted answer.

        Raises:
            ObjectModified: It has another version by now; what was seen of its kind is forgotten.
            KlepaasError: As the server answers; then everything is forgotten.
        """
        at_s = anyio.current_time()
        try:
            answer = await cluster.send(request, *max_bytes)
        except ObjectModified:
            self._take_touched(request)
            raise
        except BaseException:
            self.forget()
            raise
        for key, look in self._take_touched(request).items():
            if _is_beside(key, look.answer, answer):
                self._looks[key] = look
                continue
            listed = _with_item(key, look.answer, answer) if request.method == "PATCH" else None
            if listed is not None:
                self._looks[key] = _Look(listed, look.at_s)
        if request.method == "PATCH" and (answer.get("metadata") or {}).get("name") == _object_of(request.path)[1]:
            self._looks["GET", request.path, "", JSON] = _Look(await _text(answer), at_s)
        return answer

    def _take_touched(self, request: Request) -> dict[Key, _Look]:
        """Forget what a change makes untrue.

        Returns:
            What was forgotten.
        """
        self._epoch += 1
        plural, name = _object_of(request.path)
        touched = {key: look for key, look in self._looks.items() if _is_touched(key[1], plural, name)}
        self._looks = {key: look for key, look in self._looks.items() if key not in touched}
        return touched

    async def _known(self, key: Key) -> dict[str, Any] | None:
        """What was seen a moment ago. None: nothing.

        Raises:
            NotFound: It was seen that there is none.
            Forbidden: It was seen that it may not be read.
        """
        oldest_s = anyio.current_time() - MAX_AGE_S
        look = self._looks.get(key)
        if look is not None and look.at_s > oldest_s:
            if not isinstance(look.answer, str):
                raise look.answer.with_traceback(None)
            repeat_warnings(look.warnings)
            return await _parsed(look.answer)
        method, path, query, accept = key
        folder, _, name = path.rpartition("/")
        if (method, query, accept) != ("GET", "", JSON):
            return None
        lists = [one for (_, path, _, accept), one in self._looks.items() if path == folder and accept == JSON]
        texts = [one.answer for one in lists if isinstance(one.answer, str) and one.at_s > oldest_s]
        for text in (text for text in texts if json.dumps(name) in text):
            found = _item_of(await _parsed(text), name)
            if found is not None:
                return found
        return None

    def _keep(self, key: Key, look: _Look, epoch: int) -> None:
        """Remember an answer, unless something was written since it was asked for."""
        if epoch == self._epoch:
            self._looks[key] = look


class RememberingCluster(Cluster):
    """A cluster whose answers are remembered.

    Args:
        cluster: The cluster.
        looks: What it has answered.
        is_fresh: Whether it is asked again each time, and only tells the others what it answers.
    """

    def __init__(self, cluster: Cluster, looks: Looks, *, is_fresh: bool = False) -> None:
        super().__init__(cluster.context, cluster.default_namespace, cluster._transport)
        self._discovery = cluster._discovery
        self.looks = looks
        self.is_fresh = is_fresh

    async def send(self, request: Request, *max_bytes: int) -> dict[str, Any]:
        """Ask the server itself.

        Args:
            request: What to ask.
            max_bytes: Longest accepted answer.
        """
        return await super()._json(request, *max_bytes)

    async def _json(self, request: Request, *max_bytes: int) -> dict[str, Any]:
        handle = self.looks.change if request.act.changes else self.looks.ask
        return await handle(self, request, *max_bytes)


def remembering(cluster: Cluster, looks: Looks) -> Cluster:
    """A cluster that answers from what was seen a moment ago, where the same was asked.

    Args:
        cluster: The cluster.
        looks: What was seen.
    """
    return RememberingCluster(cluster, looks)


def fresh(cluster: Cluster) -> Cluster:
    """The same cluster, which is asked again each time: for whoever waits until it changes.

    Args:
        cluster: The cluster.
    """
    looks = looks_of(cluster)
    return cluster if looks is None else RememberingCluster(cluster, looks, is_fresh=True)


def forget_looks(cluster: Cluster) -> None:
    """Have a cluster be looked at anew from now on: time has passed, or somebody may have changed it.

    Args:
        cluster: The cluster.
    """
    looks = looks_of(cluster)
    if looks is not None:
        looks.forget()


def looks_of(cluster: Cluster) -> Looks | None:
    """What a cluster remembers. None: it remembers nothing.

    Args:
        cluster: The cluster.
    """
    return cluster.looks if isinstance(cluster, RememberingCluster) else None


def _key(request: Request) -> Key:
    """What makes two questions the same."""
    query = json.dumps(sorted((request.query or {}).items())) if request.query else ""
    if request.body is not None:
        query += f" {request.content_type} {json.dumps(request.body, sort_keys=True)}"
    return request.method, request.path, query, request.accept


async def _text(answer: dict[str, Any]) -> str:
    """An answer as it is kept: whoever got it may change it."""
    return await offload(partial(json.dumps, answer), size_chars=size_of([answer]))


async def _parsed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = await offload(partial(parse_json, text), size_chars=len(text))
    return found


def _item_of(listed: dict[str, Any], name: str) -> dict[str, Any] | None:
    """An object of a list, as it would be answered alone. None: the list has none of that name, or is no list."""
    kind = str(listed.get("kind") or "")
    if not kind.endswith("List"):
        return None
    items = (item for item in listed.get("items") or () if (item.get("metadata") or {}).get("name") == name)
    item = next(items, None)
    return item and {**item, "kind": kind.removesuffix("List"), "apiVersion": listed.get("apiVersion")}


def _with_item(key: Key, listed: str | KlepaasError, answer: dict[str, Any]) -> str | None:
    """A list with an object as a change left it. None: the object may have come into the list, or left it."""
    if not isinstance(listed, str) or key[3] != JSON or "fieldSelector" in key[2]:
        return None
    found, metadata = parse_json(listed), answer.get("metadata") or {}
    for at, item in enumerate(found.get("items") or ()):
        same = item.get("metadata") or {}
        if same.get("uid") == metadata.get("uid"):
            found["items"][at] = answer
            return json.dumps(found) if same.get("labels") == metadata.get("labels") else None
    return None


def _is_beside(key: Key, listed: str | KlepaasError, answer: dict[str, Any]) -> bool:
    """Whether a changed object is in a list neither before nor after: another label is asked for than it has."""
    uid, labels = ((answer.get("metadata") or {}).get(name) for name in ("uid", "labels"))
    if not uid or not isinstance(listed, str) or key[0] != "GET" or not key[2]:
        return False
    wanted = str(dict(parse_json(key[2])).get("labelSelector") or "")
    pairs = [piece.split("=") for piece in wanted.split(",")]
    if any(len(pair) != 2 or not pair[0][-1:].isalnum() for pair in pairs):
        return False
    is_selected = all((labels or {}).get(name) == value for name, value in pairs)
    return not is_selected and json.dumps(uid) not in listed


def _object_of(path: str) -> tuple[str, str]:
    """The plural and the name in the path of a change; the name is "" where an object is created."""
    steps = path.strip("/").split("/")
    if "namespaces" in steps[:-2]:
        steps = steps[steps.index("namespaces") + 2 :]
    else:
        steps = steps[2 if steps[0] == "api" else 3 :]
    plural, name = [*steps, "", ""][:2]
    return plural, name


def _is_touched(path: str, plural: str, name: str) -> bool:
    """Whether a change of an object makes an answer untrue: of the object, and of all lists of its kind."""
    found = _object_of(path)
    return found[0] == plural and (not found[1] or found[1] == name or not name)
