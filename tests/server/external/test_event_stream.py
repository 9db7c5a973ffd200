"""Events are taken apart at any place, mended where their message needs it, and put together again."""

import json

import pytest

from klepaas.external.event_stream import EventStream, EventTooLong

HALF = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"text": "half \ud83d of a pair \ud83d\ude00", "\ude00": 1}})
MENDED = {"jsonrpc": "2.0", "id": 1, "result": {"text": "half \ufffd of a pair \U0001f600", "\ufffd": 1}}
STREAM = f": ping\n\nid: 7\nevent: message\ndata: {HALF}\nretry: 10\n\ndata:first\ndata: second\n\ndata: cut"


def messages(events: bytes) -> list[str]:
    """The data of each event, as any reader of events has it."""
    found = []
    for event in events.decode().split("\n\n"):
        data = [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
        found += ["\n".join(data)] if data else []
    return found


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_events_are_the_same_however_they_arrive(line_end: str, size: int) -> None:
    stream, data = EventStream(10_000), ("\ufeff" + STREAM).replace("\n", line_end).encode()
    events = b"".join(stream.feed(data[at : at + size]) for at in range(0, len(data), size))
    mended, others = messages(events)
    assert json.loads(mended) == MENDED
    assert others == "first\nsecond"
    assert b"id: 7\nevent: message\nretry: 10\ndata: " in events
    assert b": ping\n" in events


@pytest.mark.parametrize("end", [b"\n\n", b"\r\r", b"\r\n\r"])
def test_an_event_leaves_with_the_byte_that_ends_it(end: bytes) -> None:
    stream = EventStream(100)
    assert stream.feed(b"data: 1" + end[:-1]) == b""
    assert stream.feed(end[-1:]) == b"data: 1\n\n"


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    assert EventStream(100).feed(b"data: caf\xe9 x\n\n").decode() == "data: caf\ufffd x\n\n"


def test_an_event_that_is_too_long_is_not_kept() -> None:
    for whole in (b"x" * 200, b"data: 0123456789\n" * 20):
        with pytest.raises(EventTooLong):
            EventStream(100).feed(whole)
    stream = EventStream(100)
    assert sum(stream.feed(b"data: 0123456789\n\n").count(b"\n\n") for _ in range(100)) == 100
