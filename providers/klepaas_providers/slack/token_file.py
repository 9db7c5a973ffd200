"""Where the token of `klepaas slack login` lies: one file of the state folder that only its owner may read.

A refresh token is good once, and several servers may share the folder: whoever renews holds the file's lock and reads
it again first.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from klepaas.errors import Unavailable
from klepaas.foreign_json import parse_json
from klepaas.host import Host
from klepaas.output.redaction import vault
from klepaas.portability import files, locks

__all__ = ["Token", "TokenFile"]

LOCK_LIMIT_S = 20.0
_FILE_MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class Token:
    """A user's token.

    Attributes:
        access_token: What Slack knows us by.
        refresh_token: What gets the next one, once. None: this one does not end.
        good_until_s: Its end, in seconds since 1970. None: it has none.
    """

    access_token: str
    refresh_token: str | None = None
    good_until_s: float | None = None

    def __repr__(self) -> str:
        return f"Token(good_until_s={self.good_until_s})"


class TokenFile:
    """The file.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, host: Host) -> "TokenFile":
        """The host's own."""
        return cls(host.settings.state_dir / "slack" / "token.json")

    @property
    def exists(self) -> bool:
        """Whether somebody has logged in."""
        return self._path.exists()

    def read(self) -> Token | None:
        """The token. None: there is none, or the file cannot be read."""
        try:
            with self._path.open("rb") as file:
                said = parse_json(file.read(_FILE_MAX_BYTES))
            token = Token(str(said["access_token"]), said.get("refresh_token"), said.get("good_until_s"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        for secret in (token.access_token, token.refresh_token):
            vault.keep(secret or "", renewal_of="the Slack login")
        return token

    def write(self, token: Token) -> None:
        """Keep a token, whole or not at all.

        Args:
            token: The token.

        Raises:
            OSError: It cannot be written.
        """
        files.write_private(self._path, json.dumps(asdict(token)))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else renews while inside. It blocks: call it in a thread.

        Raises:
            Unavailable: Somebody else has held it for too long.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locks.hold(self._path.with_suffix(".lock"), LOCK_LIMIT_S))
            except TimeoutError:
                raise Unavailable("Another klepaas is renewing the Slack token and does not end") from None
            yield
