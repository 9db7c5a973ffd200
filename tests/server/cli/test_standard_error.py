"""Everything that klepaas says on standard error is cleaned and redacted, whoever says it and how."""

import subprocess
import sys
import textwrap

import pytest

from klepaas.testing import scale_timeout

SECRET = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"

WAYS = {
    "a log line": "logging.getLogger('any').error('uses %s', SECRET)",
    "the vault": "vault.keep('correct horse battery'); logging.error('with correct horse battery')",
    "the arguments by name": "logging.error('%(a)s', {'a': SECRET})",
    "a name and its value": "logging.error('password=%s', 'hunter2secret')",
    "a traceback": "try:\n    raise ValueError(SECRET)\nexcept ValueError:\n    logging.exception('failed')",
    "a chained traceback": (
        "try:\n    try:\n        raise ValueError(SECRET)\n"
        "    except ValueError as exc:\n        raise OSError('x') from exc\n"
        "except OSError:\n    logging.exception('failed')"
    ),
    "a line that cannot be formatted": "logging.error('%d things', SECRET)",
    "a warning": "warnings.warn(SECRET)",
    "a thread": "t = threading.Thread(target=lambda: int(SECRET)); t.start(); t.join()",
    "a destructor": "class D:\n    def __del__(self): raise ValueError(SECRET)\nD()",
    "a task nobody awaited": (
        "async def bad(): raise ValueError(SECRET)\n"
        "async def main(): t = asyncio.create_task(bad()); await asyncio.sleep(0); await asyncio.sleep(0); del t\n"
        "asyncio.run(main()); gc.collect()"
    ),
    "the uvicorn logger": "import uvicorn; logging.getLogger('uvicorn.error').error(SECRET)",
    "the uvicorn access logger": "import uvicorn; logging.getLogger('uvicorn.access').warning(SECRET)",
    "uvicorn put together": (
        "import uvicorn; uvicorn.Config(lambda: None, log_config=None); logging.getLogger('uvicorn').error(SECRET)"
    ),
    "the fastmcp logger": "import fastmcp; logging.getLogger('fastmcp.server').error(SECRET)",
    "fastmcp's own way": "from fastmcp.utilities.logging import get_logger; get_logger('x').error(SECRET)",
    "the mcp logger": "import mcp; logging.getLogger('mcp.server.lowlevel').error(SECRET)",
    "httpx at warning": "import httpx; logging.getLogger('httpx').warning(SECRET)",
    "a print of a plugin": "with stdout_to_stderr(): print('token:', SECRET)",
    "the last words": "raise ValueError(SECRET)",
}

PROGRAM = """
import asyncio, gc, logging, sys, threading, warnings
import os
from klepaas.__main__ import _ENVIRONMENT
os.environ.update(_ENVIRONMENT)
from klepaas.observability import configure_logging, one_line, stdout_to_stderr
from klepaas.output.redaction import vault
from klepaas.settings import LogLevel
SECRET = {secret!r}
configure_logging(LogLevel.{level})
"""


def run(code: str, environment: dict[str, str], level: str = "DEBUG") -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(secret=SECRET, level=level) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=scale_timeout(30),
        check=False,
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_never_reaches_standard_error(way: str, klepaas_environment: dict[str, str]) -> None:
    done = run(WAYS[way], klepaas_environment)

    assert done.stdout == ""
    assert done.stderr.strip()
    for secret in (SECRET, SECRET[4:], "hunter2secret", "correct horse"):
        assert secret not in done.stderr
    assert done.stderr.isascii() or "‹redacted›" in done.stderr


def test_no_text_can_pass_for_a_log_line_of_its_own(klepaas_environment: dict[str, str]) -> None:
    done = run(
        """
        logging.error("seen\\n2026-01-01 WARNING klepaas.audit: forged\\r\\nforged too\\x1b[2K")
        try:
            raise ValueError("x\\n2026-01-01 WARNING klepaas.audit: forged")
        except ValueError:
            logging.exception("failed")
        """,
        klepaas_environment,
    )

    lines = done.stderr.splitlines()
    assert [line for line in lines if "forged" in line and not line.startswith("    ")] == []
    assert len([line for line in lines if not line.startswith("    ")]) == 2
    assert "\x1b" not in done.stderr


def test_a_log_line_that_cannot_be_formatted_does_not_fail_its_caller(klepaas_environment: dict[str, str]) -> None:
    done = run("logging.getLogger('fastmcp').error('%d', 'x'); logging.error('%s'); print('on')", klepaas_environment)

    assert (done.returncode, done.stdout) == (0, "on\n")
    assert done.stderr.count("cannot be formatted") == 1


def test_requests_are_not_told(klepaas_environment: dict[str, str]) -> None:
    done = run("logging.getLogger('httpx').info('GET https://user@host/'); print('on')", klepaas_environment)

    assert (done.stdout, done.stderr) == ("on\n", "")


def test_only_fastmcps_own_words_about_a_failed_call_are_left_out(klepaas_environment: dict[str, str]) -> None:
    done = run(
        """
        logging.getLogger("fastmcp.server").error("Error calling tool 'x'")
        logging.getLogger("klepaas.gate").error("Error calling tool 'y'")
        """,
        klepaas_environment,
    )

    assert "'x'" not in done.stderr
    assert "'y'" in done.stderr


def test_standard_output_comes_back_after_it_was_diverted(klepaas_environment: dict[str, str]) -> None:
    done = run(
        """
        try:
            with stdout_to_stderr():
                with stdout_to_stderr():
                    print("inner")
                    os.write(1, b"descriptor\\n")
                sys.stdout.write("unfinished")
                raise KeyError
        except KeyError:
            pass
        print("after", flush=True)
        os.write(1, b"descriptor after\\n")
        """,
        klepaas_environment,
    )

    assert done.stdout == "after\ndescriptor after\n"
    assert sorted(done.stderr.splitlines()) == ["descriptor", "inner", "unfinished"]


def test_one_line_is_one_line() -> None:
    from klepaas.observability import one_line

    assert one_line(" a\n\tb \x1b[1mc\x00 ") == "a b c"
    assert one_line("x" * 1000, max_chars=10) == "xxxxxxx..."
    assert one_line("") == ""
    assert len(one_line("\n" * 10_000_000)) == 0
