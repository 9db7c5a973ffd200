"""What the text parameters of the Prometheus tools may hold; loaded with every server, so it imports nothing heavy."""

import re

from klepaas import names

__all__ = ["CURSOR", "CURSOR_FORM", "LABEL", "METRIC", "PROMQL", "SEARCH", "SERVER", "TIME"]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SERVER = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
CURSOR_FORM = re.compile(r"([0-9a-f]{12})\.(\d{1,12})\.(\d{1,7})\.(\d{1,7})")
CURSOR = names.Check(
    "cursor", lambda text: CURSOR_FORM.fullmatch(text) is not None, "the cursor exactly as an answer gave it", 50
)
PROMQL = names.Check(
    "query", lambda text: bool(text.strip()) and names.TEXT.accepts(text), "PromQL", 4000, quotable=False
)
SEARCH = names.Check(
    "search",
    lambda text: bool(text.strip()) and names.TEXT.accepts(text),
    "words without control characters",
    200,
    quotable=False,
)
METRIC = names.Check("metric", lambda text: _NAME.fullmatch(text) is not None, "a metric's name", 200)
TIME = names.Check("time", lambda text: _TIME.fullmatch(text) is not None, "a time such as 2026-01-31T09:00:00Z", 40)
LABEL = names.Check("label", lambda text: _LABEL.fullmatch(text) is not None, "a label's name", 100)
SERVER = names.Check("server", lambda text: _SERVER.fullmatch(text) is not None, "a server's name in the settings", 32)
