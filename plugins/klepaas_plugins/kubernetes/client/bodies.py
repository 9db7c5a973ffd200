"""The bodies of requests: JSON that a YAML parser reads as the same, since an apply is declared as YAML.

The escapes of JSON for what lies beyond U+FFFF are two halves of a character to YAML, which refuses them; so characters
are sent as they are. What YAML does not take as it is, is escaped: DEL, C1 controls, line separators, byte order marks.

Source: YAML 1.2.2, section 5.1 "Character Set"; RFC 8259, section 7.
"""

import json
import re
from typing import Any

from klepaas.errors import BadRequest

__all__ = ["encode_body"]

_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def encode_body(body: Any) -> bytes:
    """A body as it is sent.

    Args:
        body: JSON data.

    Raises:
        BadRequest: It holds half of a character.
    """
    text = json.dumps(body, ensure_ascii=False)
    try:
        return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match.group()):04x}", text).encode()
    except UnicodeEncodeError as exc:
        raise BadRequest("The object holds half of a character, which no text can", next_step="Leave it out") from exc
