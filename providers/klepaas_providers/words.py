"""What a program says in words about a failure that it met on the network, and for how long it wants to wait.

The servers of others pass a failure on as a text, made by their language's HTTP client: Go's names the step that
failed, Node's does not. Here is what can be read out of it; what GitHub or Slack means is its own folder's affair.

Source: Go's net, net/http and crypto/tls packages; Node.js' undici.
"""

import re

from klepaas.resilience import Kind, Verdict

__all__ = ["duration_s", "network_verdict"]

# While a connection is being made nothing was sent yet.
_NOT_SENT = re.compile(
    r"\bdial (?:tcp|udp|unix)\b|\bno such host\b|\bconnection refused\b|\bECONNREFUSED\b|\bENOTFOUND\b|\bEAI_AGAIN\b"
    r"|\bTLS handshake timeout\b|\btls: |\bx509: "
)
_TIMED_OUT = re.compile(
    r"context deadline exceeded|Client\.Timeout|i/o timeout|\bETIMEDOUT\b|\bUND_ERR_\w*TIMEOUT\b|timed out"
)
_BROKE_OFF = re.compile(
    r"\bEOF\b|connection reset|broken pipe|transport connection broken|server closed idle connection|\bECONNRESET\b"
    r"|\bfetch failed\b|other side closed|socket hang up|http2: "
)
_NOT_UNDERSTOOD = re.compile(
    r"invalid character .{1,12} looking for|unexpected end of JSON input|cannot unmarshal|is not valid JSON"
    r"|Unexpected token|Unexpected end of JSON"
)
_DURATION = re.compile(
    r"(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,6}(?:\.\d{1,9})?)ms)?"
)


def network_verdict(said: str) -> Verdict | None:
    """What the words mean. None: they do not speak of the network.

    Args:
        said: What the program said.
    """
    if _NOT_SENT.search(said):
        return Verdict(Kind.NOT_SENT, reason="cannot reach its API")
    if _TIMED_OUT.search(said):
        return Verdict(Kind.TIMEOUT, reason="got no answer of its API in time")
    if _NOT_UNDERSTOOD.search(said):
        return Verdict(Kind.PROTOCOL, reason="got an answer of its API that cannot be understood")
    if _BROKE_OFF.search(said):
        return Verdict(Kind.UNAVAILABLE, reason="lost the connection to its API")
    return None


def duration_s(said: str) -> float | None:
    """A length of time as Go writes it, such as "1m30s", in seconds. None: it is none.

    Args:
        said: The text.
    """
    match = _DURATION.fullmatch(said)
    if not said or match is None:
        return None
    hours, minutes, seconds, thousandths = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds + thousandths / 1000
