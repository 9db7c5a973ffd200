"""How something that others use goes away: it says so, where it can be seen, for at least one minor version.

    @deprecated(since="0.3", remove_in="0.5", instead="k8s_get")
    async def k8s_list(...): ...

The warning is a `UserWarning`, which Python shows by default, and the server's log shows it too. Nothing breaks for
users by itself when the version named has come: the test suite does (`overdue`), so that nobody forgets to remove it.
What is stable at all, and for how long, is docs/compatibility.md.
"""

import functools
import inspect
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Deprecation", "KlepaasDeprecationWarning", "deprecated", "overdue", "warn_deprecated"]

F = TypeVar("F", bound=Callable[..., Any])
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")


class KlepaasDeprecationWarning(UserWarning):
    """Something is used that will go away. Not a `DeprecationWarning`: Python hides those from users."""


@dataclass(frozen=True)
class Deprecation:
    """Something that will go away.

    Attributes:
        what: What it is called.
        since: The version that first said so.
        remove_in: The version that will not have it any more.
        instead: What to use.
    """

    what: str
    since: str
    remove_in: str
    instead: str

    def __post_init__(self) -> None:
        for version in (self.since, self.remove_in):
            if not _VERSION.fullmatch(version):
                raise ValueError(f"{version!r} is not a version such as 0.4 or 0.4.1")
        if _parts(self.remove_in)[:2] <= _parts(self.since)[:2]:
            raise ValueError(f"{self.what} must stay for a minor version at least: {self.since} to {self.remove_in}")

    @property
    def text(self) -> str:
        """The warning, one sentence."""
        return f"{self.what} is deprecated since {self.since} and goes away in {self.remove_in}: use {self.instead}"


_all: list[Deprecation] = []


def deprecated(*, since: str, remove_in: str, instead: str) -> Callable[[F], F]:
    """Mark a function, also an async one that is a tool, as going away; each call warns.

    A tool's description says so too, since a model reads that and no warning.

    Args:
        since: The version that first says so.
        remove_in: The version that will not have it any more; a later minor version.
        instead: What to use.

    Raises:
        ValueError: The versions are none, or leave no time.
    """

    def mark(function: F) -> F:
        told = _remembered(Deprecation(f"{function.__name__}()", since, remove_in, instead))
        wrapper = _warning_async(function, told) if inspect.iscoroutinefunction(function) else _warning(function, told)
        wrapper.__doc__ = f"Deprecated, use {instead}: {inspect.getdoc(function) or ''}".strip()
        marked: Any = wrapper
        return marked  # type: ignore[no-any-return]

    return mark


def warn_deprecated(what: str, *, since: str, remove_in: str, instead: str, stacklevel: int = 2) -> None:
    """Warn that something without a function of its own (a setting, an argument) is going away.

    Args:
        what: What it is called, for example "KLEPAAS_OLD_URL".
        since: The version that first said so.
        remove_in: The version that will not have it any more.
        instead: What to use.
        stacklevel: Whose line is named; as for `warnings.warn`.
    """
    _warn(_remembered(Deprecation(what, since, remove_in, instead)), stacklevel + 1)


def overdue(version: str) -> list[Deprecation]:
    """What should be gone in this version and is still here.

    Args:
        version: For example `klepaas.__version__`; what follows the numbers does not count.
    """
    now = _parts(version)
    return [item for item in _all if _parts(item.remove_in) <= now]


def _remembered(deprecation: Deprecation) -> Deprecation:
    if deprecation not in _all:
        _all.append(deprecation)
    return deprecation


def _warning(function: Callable[..., Any], told: Deprecation) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        _warn(told, 3)
        return function(*args, **kwargs)

    return call


def _warning_async(function: Callable[..., Any], told: Deprecation) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        _warn(told, 3)
        return await function(*args, **kwargs)

    return call


def _warn(told: Deprecation, stacklevel: int) -> None:
    warnings.warn(told.text, KlepaasDeprecationWarning, stacklevel=stacklevel)


def _parts(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    if found is None:
        raise ValueError(f"{version!r} does not begin with a version such as 0.4")
    return tuple(int(part or 0) for part in found.groups())
