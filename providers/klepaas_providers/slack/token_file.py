"""Where the token of `klepaas slack login` lies: one file of the state folder that only its owner may read.

A refresh token is good once, and several servers may share the folder: whoever renews holds the file's lock and reads
it again first.
"""

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from klepaas.errors import Unavailable
from klepaas.host import Host
from klepaas.output.redaction import vault

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
                said = json.loads(file.read(_FILE_MAX_BYTES))
            token = Token(str(said["access_token"]), said.get("refresh_token"), said.get("good_until_s"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        for secret in (token.access_token, token.refresh_token):
            vault.keep(secret or "")
        return token

    def write(self, token: Token) -> None:
        """Keep a token, whole or not at all.

        Args:
            token: The token.

        Raises:
            OSError: It cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(asdict(token), file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else renews while inside. It blocks: call it in a thread.

        Raises:
            Unavailable: Somebody else has held it for too long.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + LOCK_LIMIT_S
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise Unavailable("Another klepaas is renewing the Slack token and does not end") from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(lock)
