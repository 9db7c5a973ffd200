"""The secrets that klepaas itself holds, so that no text can carry them out.

A secret that is set stays for the life of the process. Of a credential that is renewed every few minutes only the
newest are kept, counted for each credential alone: the renewals of one never push out another, nor what is set.
"""

import base64
import json
import logging
import re
import urllib.parse
from collections.abc import Iterator

__all__ = ["MARK", "Vault", "vault"]

log = logging.getLogger(__name__)

MARK = "‹redacted›"
_SHORTEST_CHARS = 6
# A token of five minutes is found for 80 minutes; whoever accepts it has long forgotten it then.
_RENEWALS_KEPT = 16
# So many secrets are set by nobody: somebody keeps a renewed one without saying so.
_SET_EXPECTED_MAX = 1024


class Vault:
    """The secrets that klepaas itself holds (tokens it sends upstream), so that no text can carry them out.

    It finds a value as it is, in base64 (also inside a longer text, as in a Basic header), in hexadecimal, URL-encoded
    and as JSON or Python quote it. A value under 6 characters is not kept: it would blank out ordinary text.
    """

    def __init__(self) -> None:
        self._set: set[str] = set()
        # Of each credential that is renewed its values, the newest last.
        self._renewed: dict[str, dict[str, None]] = {}
        self._forms: dict[str, frozenset[str]] = {}
        self._in_order: tuple[str, ...] = ()

    def keep(self, secret: str, *, renewal_of: str | None = None) -> None:
        """Remember a secret; blanks and line ends around it are not part of it.

        Args:
            secret: The value.
            renewal_of: The credential that it is the newest value of, by any name that is the same each time. Of each
                the newest 16 are kept, since a server that runs for months sees many. None: it is set, not renewed,
                and is never forgotten.
        """
        secret = secret.strip()
        if len(secret) < _SHORTEST_CHARS:
            return
        if renewal_of is None:
            self._set.add(secret)
            self._warn_of_many()
        else:
            values = self._renewed.setdefault(renewal_of, {})
            values.pop(secret, None)
            values[secret] = None
            if len(values) > _RENEWALS_KEPT:
                del values[next(iter(values))]
        self._index()

    def forget_all(self) -> None:
        """Forget every secret."""
        self._set.clear()
        self._renewed.clear()
        self._index()

    def redact(self, text: str) -> str:
        """The text with `MARK` in place of every secret that is kept."""
        for form in self._in_order:
            if form in text:
                text = text.replace(form, MARK)
        return text

    def _warn_of_many(self) -> None:
        if len(self._set) == _SET_EXPECTED_MAX + 1:
            log.warning(
                "more than %d secrets are kept for the life of this process, which slows every answer down: a plugin "
                "keeps a credential that it renews without renewal_of",
                _SET_EXPECTED_MAX,
            )

    def _index(self) -> None:
        held = self._set.union(*self._renewed.values())
        if held == self._forms.keys():
            return
        self._forms = {secret: self._forms.get(secret) or _lasting_forms(secret) for secret in held}
        self._in_order = tuple(sorted(frozenset().union(*self._forms.values()), key=len, reverse=True))


def _lasting_forms(secret: str) -> frozenset[str]:
    return frozenset(form for form in _forms_of(secret) if len(form) >= _SHORTEST_CHARS and form not in MARK)


def _forms_of(secret: str) -> Iterator[str]:
    data = secret.encode(errors="replace")
    quoted = json.dumps(secret)[1:-1]
    yield from (secret, quoted, json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(quoted)[1:-1])
    yield from (repr(secret)[1:-1], data.hex(), data.hex().upper())
    for encoded in (urllib.parse.quote(data, safe=""), urllib.parse.quote(data), urllib.parse.quote_plus(data)):
        yield from (encoded, re.sub("%..", lambda match: match.group().lower(), encoded))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode()
        for shift in range(3):
            # Inside a longer text only the characters made of the secret's bytes alone are always the same.
            encoded = encode(b"\0" * shift + data).decode()
            yield encoded[(0, 2, 3)[shift] : (shift + len(data)) * 8 // 6]


# One for the process: what a log handler or an error of any server must not print is the same for all of them.
vault = Vault()
