"""What every test may use."""

import functools
import inspect
import os
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

# As klepaas itself has it: what FastMCP would log of a refused call, a coloured traceback, costs more than the call.
os.environ["FASTMCP_LOG_ENABLED"] = "false"

from klepaas.output.redaction import vault
from klepaas.testing import scale_timeout

# A shell that starts the tests in the background has them ignore Ctrl-C, and nohup the end of its terminal; so would
# every server that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """No test takes more than a minute of an idle machine, unless it is marked so."""
    if config.option.timeout is None and "PYTEST_TIMEOUT" not in os.environ:
        config.option.timeout = scale_timeout(60)


# What is in the source of a test whose promise is a speed.
_SPEEDS = ("time_budget(", "least_processor_s(", "_growth(", "FOUND_WITHIN_S", "COMPARED_WITHIN_S")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A promise of speed counts as broken when it is broken twice: a neighbour may have had the machine once."""
    for item in items:
        source = _source(item.function) if isinstance(item, pytest.Function) else ""
        if any(speed in source for speed in _SPEEDS):
            item.add_marker(pytest.mark.flaky(reruns=1))


@functools.cache
def _source(function: Callable[..., object]) -> str:
    return inspect.getsource(function)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A report goes to another process as UTF-8, also of a test whose log holds half a surrogate pair."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the server runs on."""
    return "asyncio"


@pytest.fixture(autouse=True)
def empty_vault() -> Iterator[None]:
    """The process keeps the secrets that it has seen; those of one test are ordinary words to another."""
    yield
    vault.forget_all()


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test uses the state or the settings file of the person who runs it, nor any process that it starts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(_state_home(tmp_path_factory)))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "config-home"))
    # A rollout need not stay healthy for long to be believed.
    monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "0.05")


def _state_home(factory: pytest.TempPathFactory) -> Path:
    return factory.getbasetemp() / "state-home"
