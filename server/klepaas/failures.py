"""Failures of tools as a client may read them: FastMCP's wrapping undone, defects masked.

It says what happened; what a caller is told of it leaves through the gate.
"""

import traceback
from typing import NoReturn

from pydantic import ValidationError

from klepaas.errors import BadRequest, InternalError, KlepaasError, TimedOut, chain_of

__all__ = ["explained", "trail", "translate", "unexpected"]

# Where the schema's own words are unclear to somebody who does not know Python.
_PROBLEMS = {"missing_argument": "is missing", "missing_keyword_only_argument": "is missing"}


def translate(exc: Exception, tool_name: str) -> NoReturn:
    """Raise what FastMCP wrapped, as an error of ours.

    Args:
        exc: What FastMCP raised.
        tool_name: The tool that was called.

    Raises:
        KlepaasError: The tool said why, the arguments do not fit its schema, or a time limit passed.
    """
    cause = _one_of_ours(exc.__cause__)
    if isinstance(cause, KlepaasError):
        raise cause
    if isinstance(cause, ValidationError):
        raise _bad_arguments(cause, tool_name) from exc
    if isinstance(cause, TimeoutError):
        raise TimedOut(f"{tool_name} waited too long for an answer", next_step="Ask for less, or look again") from exc
    raise exc


def explained(exc: BaseException, what: str) -> KlepaasError | None:
    """The error that klepaas can explain, where an exception of a plugin's code is one; else None.

    Args:
        exc: What was raised.
        what: What failed, as a sentence begins with it.
    """
    cause = _one_of_ours(exc)
    if isinstance(cause, TimeoutError):
        return TimedOut(f"{what} waited too long for an answer", next_step="Look again")
    return cause if isinstance(cause, KlepaasError) else None


def _one_of_ours(cause: BaseException | None) -> BaseException | None:
    """The first error of a group in which all are ours: concurrent work usually fails for one reason."""
    if not isinstance(cause, BaseExceptionGroup):
        return cause
    _, unexpected = cause.split(KlepaasError)
    while unexpected is None and isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause


def _bad_arguments(exc: ValidationError, tool_name: str) -> BadRequest:
    """What is wrong with the arguments, without quoting their values: not even keys, which callers choose."""
    problems: dict[str, str] = {}
    for error in exc.errors(include_input=False, include_url=False, include_context=False):
        path = [str(part) for place, part in enumerate(error["loc"]) if place == 0 or isinstance(part, int)]
        problem = _PROBLEMS.get(error["type"], error["msg"])
        problems.setdefault(".".join(path) or "arguments", problem)
    listed = "; ".join(f"{path}: {problem}" for path, problem in list(problems.items())[:5])
    return BadRequest(f"{tool_name} was called with wrong arguments: {listed}")


def unexpected(tool_name: str, reference: str) -> InternalError:
    """What a client reads of a defect.

    Args:
        tool_name: The tool that was called.
        reference: Under which the log has the details.
    """
    return InternalError(
        f"{tool_name} failed because of a defect in klepaas or its plugin",
        next_step=f"The server's log has the details under reference {reference}",
    )


def trail(exc: BaseException) -> str:
    """The types of an exception and of its causes, innermost last, and where the innermost came from."""
    chain = list(chain_of(exc))
    types = " <- ".join(_kind(link) for link in chain)
    places = [f"{frame.f_code.co_filename}:{line}" for frame, line in traceback.walk_tb(chain[-1].__traceback__)]
    return f"{types} at {', '.join(places[-5:]) or 'an unknown place'}"


def _kind(exc: BaseException) -> str:
    name = type(exc).__qualname__
    return f"{name}({', '.join(map(_kind, exc.exceptions))})" if isinstance(exc, BaseExceptionGroup) else name
