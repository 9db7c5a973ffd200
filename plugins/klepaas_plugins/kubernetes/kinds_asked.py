"""Several kinds in one question, as people write them for kubectl: "pods,pvc", "pod/web", "deploy/web,svc/web"."""

import re
from collections.abc import Awaitable, Callable

from klepaas import names
from klepaas.errors import BadRequest, KlepaasError, NotFound
from klepaas.output import Answer
from klepaas.output.budget import LIST_BYTES, fit

__all__ = ["KINDS", "Asked", "answer_each", "kinds_of"]

KINDS_MAX = 8
# "apps/v1/Deployment" and "deployments.apps/v1" are kinds; "pod/web" is a kind and a name.
_VERSION = re.compile(r"v[0-9][a-z0-9]*")
Asked = tuple[str, str | None]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _accepts(part: str) -> bool:
    kind, slash, name = part.rpartition("/")
    return names.KIND.accepts(part) or (bool(slash) and names.KIND.accepts(kind) and names.OBJECT.accepts(name))


KINDS = names.Check(
    "kind",
    lambda text: 0 < len(_split(text)) <= KINDS_MAX and all(map(_accepts, _split(text))),
    f"a kind such as Pod, pods, po or pods.metrics.k8s.io, kind/name, or up to {KINDS_MAX} of them: pods,pvc",
    max_chars=KINDS_MAX * (names.OBJECT.max_chars + 64),
)


def kinds_of(text: str, name: str | None) -> list[Asked]:
    """The kinds that are asked for, each with the name of one object or None.

    Args:
        text: As it was written.
        name: The name that was given beside it. None: none was.

    Raises:
        BadRequest: Two names were given.
    """
    found: list[Asked] = []
    for part in dict.fromkeys(_split(text)):
        kind, slash, own = part.rpartition("/")
        if slash and not (_VERSION.fullmatch(own) or _VERSION.fullmatch(kind.rpartition("/")[2])):
            if name is not None and name != own:
                raise BadRequest(f"kind={part} and name={name} name two objects", next_step="Give the name once")
            found.append((kind, own))
        else:
            found.append((part, name))
    return found


async def answer_each(asked: list[Asked], answer: Callable[[Asked], Awaitable[Answer]]) -> Answer:
    """One answer after the other, each under its kind; what one of them lacks does not hide the others.

    Args:
        asked: The kinds.
        answer: Answers for one.

    Raises:
        KlepaasError: None of them could be answered.
    """
    if len(asked) == 1:
        return await answer(asked[0])
    parts: list[str] = []
    errors: list[KlepaasError] = []
    for one in asked:
        head = f"{one[0]}/{one[1]}" if one[1] else one[0]
        try:
            text = (await answer(one)).text
        except NotFound as exc:
            errors.append(exc)
            text = exc.line
        parts.append(f"== {head}\n{fit(text, LIST_BYTES // len(asked), 'Ask for this kind alone')}")
    if len(errors) == len(asked):
        raise errors[0]
    return Answer("\n".join(parts))
