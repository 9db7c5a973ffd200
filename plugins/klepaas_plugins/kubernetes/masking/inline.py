"""Secrets inside a line, in the forms of single programs: netrc, pgpass, Erlang terms, encoded queries, flags."""

import re
import urllib.parse

from klepaas.output.redaction import MARK
from klepaas_plugins.kubernetes.masking.forms import is_masked, is_place
from klepaas_plugins.kubernetes.masking.names import is_secret

__all__ = ["mask_inline"]

# Each behind a word that is in the text when the form is; the name, where there is one, is judged.
_FORMS = tuple(
    (needle, re.compile(form, re.MULTILINE))
    for needle, form in (
        # machine example.com login me password ...
        ("password", r"(?P<before>\blogin[ \t]{1,16}\S{1,200}\s{1,16}password[ \t]{1,16})(?P<secret>\S{1,256})"),
        # {default_pass, <<"...">>}
        ('<<"', r"(?P<before>\{[ \t]{0,8}(?P<name>[\w.]{1,100})[ \t]{0,8},[ \t]{0,8}<<\")(?P<secret>[^\"\n]{1,256})"),
        # password%3D...
        ("%3", r"(?P<before>(?<![\w.-])(?P<name>[\w.-]{1,100})%3[dD])(?P<secret>[^%&\s\"']{1,256})"),
        # --password ..., -storepass ...
        (
            "-",
            r"(?P<before>(?<!\S)--?(?P<name>[A-Za-z][\w.-]{0,100})(?:[ \t]{1,16}|=)[\"']?)"
            r"(?P<secret>[^\s\"'\\-][^\s\"']{0,256})",
        ),
        # proxy_set_header X-Api-Key "...";
        (
            "header",
            r"(?P<before>\b(?:proxy_set_header|add_header|set-header|set_header|RequestHeader set|Header set)"
            r"[ \t]{1,16}(?P<name>[\w-]{1,100})[ \t]{1,16}[\"']?)(?P<secret>[^\s\"';$][^\"'\n;]{0,256})",
        ),
        # db:5432:*:me:...
        (":", r"(?P<before>^[^:\s#]{1,253}:(?:54\d\d|\*):[^:\s]{1,64}:[^:\s]{1,64}:)(?P<secret>\S{1,256})$"),
    )
)


def mask_inline(text: str) -> str:
    """A text with the secrets masked that these forms hold."""
    for needle, form in _FORMS:
        if needle in text:
            text = form.sub(_masked, text)
    return text


def _masked(match: re.Match[str]) -> str:
    name, secret = match.groupdict().get("name"), match["secret"]
    if name is not None and not is_secret(urllib.parse.unquote(name)):
        return match.group()
    if MARK in secret or is_masked(secret) or is_place(secret) or secret.startswith("$"):
        return match.group()
    return match["before"] + MARK
