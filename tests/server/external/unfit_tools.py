"""Tools that some clients drop, and what klepaas says of each."""

from tests.server.external.fake_server import TOOLS

__all__ = ["UNFIT", "WARNINGS"]

LONG = "get_" + "n" * 54  # with the server's prefix 63 characters
ODD = {
    "name": "find",
    "inputSchema": {
        "type": "object",
        "properties": {
            "검색어": {"type": "string"},
            "filter": {
                "type": "object",
                "properties": {"first name": {"type": "string"}, "x" * 65: {"type": "string"}},
            },
            "either": {"anyOf": [{"type": "object", "properties": {"$id": {"type": "string"}}}, {"type": "null"}]},
            "fine.one-1": {"type": "string", "default": {"properties": {"no property": 1}}},
        },
    },
}


UNFIT = [*TOOLS, {"name": LONG, "inputSchema": {"type": "object"}}, ODD, {**ODD, "name": "y" * 80}]
WARNINGS = (
    f"wiki_{LONG} has a name of 63 characters; some clients take 60 at most",
    "wiki_find has properties that are left out, or for which clients drop it: "
    f"'$id', 'first name', '{'x' * 64}...' and 1 more",
    f"'{'y' * 64}...' is left out: it cannot be named within wiki_",
)
