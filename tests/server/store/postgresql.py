"""A PostgreSQL server of our own, where its programs are installed: on loopback, in a temporary folder, as a user.

PostgreSQL refuses to run as root, so a root runs it as the user `postgres` that its package makes.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from klepaas.testing import scale_timeout

PASSWORD = "warehouse-of-anna-77"
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@dataclass(frozen=True)
class PostgreSql:
    """A server that runs."""

    port: int

    def address(self, database: str = "postgres") -> str:
        return f"postgresql://klepaas:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new_database(self, name: str) -> str:
        import psycopg

        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.address(name)


@contextlib.contextmanager
def postgresql_server() -> Iterator[PostgreSql]:
    """A server, or a loud skip where there can be none; `KLEPAAS_TEST_POSTGRESQL=required` makes that a failure."""
    programs, user = _programs(), _user()
    if programs is None or user is None:
        text = "no PostgreSQL: its programs initdb and postgres, and a user other than root, are needed"
        if os.environ.get("KLEPAAS_TEST_POSTGRESQL") == "required":
            pytest.fail(text)
        pytest.skip(text)
    # Not below pytest's own folder, into which another user cannot look.
    folder = Path(tempfile.mkdtemp(prefix="klepaas-postgresql-", dir="/tmp"))
    try:
        shutil.chown(folder, user)
        with _running(programs, user, folder) as port:
            yield PostgreSql(port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    beside = shutil.which("initdb")
    places = [*_FOLDERS, *([Path(beside).parent] if beside else [])]
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


def _user() -> str | None:
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return None


@contextlib.contextmanager
def _running(programs: Path, user: str, folder: Path) -> Iterator[int]:
    data, password = folder / "data", folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    as_user: dict[str, Any] = {"user": user} if os.getuid() == 0 else {}
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    options: list[Any] = ["-D", data, "-U", "klepaas", "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "-N"]
    made = subprocess.run(
        [programs / "initdb", *options],
        capture_output=True, text=True, timeout=scale_timeout(60), check=False, cwd=folder, env=environment, **as_user,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off",
                "max_connections": 100}  # fmt: skip
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
            **as_user,
        )  # fmt: skip
    try:
        _await(PostgreSql(port), server, folder / "log")
        yield port
    finally:
        server.terminate()
        try:
            server.wait(scale_timeout(10))
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _await(server: PostgreSql, process: "subprocess.Popen[bytes]", log: Path) -> None:
    import threading

    import psycopg

    pause = threading.Event()
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(server.address(), connect_timeout=2).close()
            return
        pause.wait(0.1)
    raise TimeoutError(log.read_text())
