"""An answer that is read while it arrives says the same as one that is read whole, however it is cut into pieces."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klepaas_plugins.prometheus.client import Document, Malformed, read_document, read_list

LIMIT = 10_000_000
# A machine that is shared is slow at times.
unhurried = settings(deadline=None)
words = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
spaces = st.sampled_from([None, 1])


async def pieces_of(data: bytes, sizes: list[int]) -> AsyncIterator[bytes]:
    at = 0
    for size in sizes:
        if at < len(data):
            yield data[at : at + size]
            at += size
    if at < len(data):
        yield data[at:]


def read(data: bytes, sizes: list[int], max_bytes: int = LIMIT, most: int = 10**9) -> tuple[Document, list[Any]]:
    rows: list[Any] = []

    def take(row: Any) -> bool:
        rows.append(row)
        return len(rows) < most

    async def run() -> Document:
        return await read_document(pieces_of(data, sizes), take, max_bytes)

    return anyio.run(run), rows


@unhurried
@given(st.lists(values, max_size=8), st.lists(st.integers(1, 30), max_size=60), spaces, st.booleans())
def test_rows_come_whole(rows: list[Any], sizes: list[int], indent: int | None, ascii_only: bool) -> None:
    document = {"status": "success", "data": {"resultType": "x", "result": rows}, "warnings": ["one"]}
    data = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode(errors="replace")
    wanted = json.loads(data)
    said, found = read(data, sizes)
    assert found == wanted["data"]["result"]
    assert said.values == {"status": "success", "warnings": ["one"]}
    assert (said.rows, said.cut, said.left) == (len(rows), False, False)


@unhurried
@given(st.lists(words, max_size=8), st.lists(st.integers(1, 9), max_size=40))
def test_a_list_of_names_is_rows_too(names: list[str], sizes: list[int]) -> None:
    said, found = read(json.dumps({"data": names, "status": "success"}).encode(), sizes)
    assert (found, said.values) == (names, {"status": "success"})


def test_metadata_comes_as_pairs() -> None:
    _, found = read(b'{"status":"success","data":{"up":[{"type":"gauge"}],"down":[]}}', [])
    assert found == [("up", [{"type": "gauge"}]), ("down", [])]


@unhurried
@given(st.integers(0, 80))
def test_half_an_answer_is_none(size: int) -> None:
    data = b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"}}]}}'
    with pytest.raises(Malformed) as caught:
        read(data[:size], [7])
    assert caught.value.broke_off


@pytest.mark.parametrize("data", [b"<html>", b'"text"', b"[]", b'{"data":{"result":[1 2]}}', b"{1:2}", b"[" * 100_000])
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data, [])


def test_a_long_answer_is_cut_off() -> None:
    rows = [{"metric": {"n": str(number)}} for number in range(20_000)]
    data = json.dumps({"status": "success", "data": {"result": rows}}).encode()
    said, found = read(data, [4096] * (len(data) // 4096 + 1), max_bytes=200_000)
    assert said.cut
    assert found == rows[: len(found)]
    assert 0 < len(found) < len(rows)


def test_whoever_has_enough_reads_no_further() -> None:
    said, found = read(b'{"data":["a","b","c", this is never read', [], most=2)
    assert (found, said.left) == (["a", "b"], True)


def test_a_bare_list_can_be_read() -> None:
    rows: list[Any] = []

    def take(row: Any) -> bool:
        rows.append(row)
        return True

    async def run() -> None:
        await read_list(pieces_of(b'[{"a":1}, {"b":2}]', [3, 3]), take, LIMIT)

    anyio.run(run)
    assert rows == [{"a": 1}, {"b": 2}]
