"""URIs of resources, and the little of RFC 6570 that templates of them need: whole segments of a path.

    klepaas://kubernetes/{context}/{namespace}/{kind}/{name}

A URI is taken apart here and nowhere else, and each segment is decoded once, after the path was split: no spelling of
a slash or of dots becomes another segment. Whether a value is a good one is the check's affair.

Source: RFC 3986 sections 2.1 and 3.3; RFC 6570 section 3.2.2 (simple string expansion).
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from klepaas.parameters import DeclarationError

__all__ = ["UriTemplate"]

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
# Literal segments need no encoding, so that there is one way to write them. The first one stands where a host would:
# some clients write hosts in lower case, so it is literal, and in lower case.
_LITERAL = re.compile(r"[a-z0-9][a-z0-9._-]*")
_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_ESCAPED = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
URI_MAX_CHARS = 2048


class UriTemplate:
    """A URI with variables, or without.

    Args:
        text: The template.

    Raises:
        DeclarationError: It is not of the form above.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        scheme, found, path = text.partition("://")
        self._segments = path.split("/")
        names = [match.group(1) for segment in self._segments if (match := _VARIABLE.fullmatch(segment))]
        literals = [segment for segment in self._segments if not _VARIABLE.fullmatch(segment)]
        if not found or not _SCHEME.fullmatch(scheme) or not all(_LITERAL.fullmatch(literal) for literal in literals):
            raise DeclarationError(f"{text!r} is no URI such as klepaas://things/{{place}}/{{name}}")
        if _VARIABLE.fullmatch(self._segments[0]):
            raise DeclarationError(f"{text!r} begins with a variable, which some clients would write in lower case")
        if len(set(names)) < len(names):
            raise DeclarationError(f"{text!r} has a variable twice")
        self._start = f"{scheme}://"
        self.names = tuple(names)

    def match(self, uri: str) -> dict[str, str] | None:
        """The values of the variables in a URI, not checked yet.

        Args:
            uri: What a client asks for.

        Returns:
            The values by name; None where it is not a URI of this template.
        """
        if len(uri) > URI_MAX_CHARS or not uri.startswith(self._start):
            return None
        parts = uri[len(self._start) :].split("/")
        if len(parts) != len(self._segments):
            return None
        found: dict[str, str] = {}
        for segment, part in zip(self._segments, parts, strict=True):
            name = _VARIABLE.fullmatch(segment)
            if name is None and part != segment:
                return None
            if name is not None:
                value = _decoded(part)
                if value is None:
                    return None
                found[name.group(1)] = value
        return found

    def expand(self, values: Mapping[str, str]) -> str:
        """The URI with these values.

        Args:
            values: One for each variable.
        """
        return _VARIABLE.sub(lambda found: quote(values[found.group(1)], safe=""), self.text)

    def overlaps(self, other: "UriTemplate") -> bool:
        """Whether some URI is one of both."""
        if self._start != other._start or len(self._segments) != len(other._segments):
            return False
        return all(
            mine == theirs or bool(_VARIABLE.fullmatch(mine) or _VARIABLE.fullmatch(theirs))
            for mine, theirs in zip(self._segments, other._segments, strict=True)
        )


def _decoded(part: str) -> str | None:
    """A segment, decoded once; None where it is no segment."""
    if not _ESCAPED.fullmatch(part):
        return None
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        return None
