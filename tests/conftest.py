"""What every test may use."""

from collections.abc import Iterator

import pytest

from klepaas.output.redaction import vault


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the server runs on."""
    return "asyncio"


@pytest.fixture(autouse=True)
def empty_vault() -> Iterator[None]:
    """The process keeps the secrets that it has seen; those of one test are ordinary words to another."""
    yield
    vault.forget_all()
