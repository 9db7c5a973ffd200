"""What the texts are that name one state of an object, for the tools that delete by them."""

from klepaas.names import Check

__all__ = ["UID", "VERSION"]

_HEXADECIMAL = frozenset("0123456789abcdefABCDEF-")
UID = Check("uid", lambda text: bool(text) and set(text) <= _HEXADECIMAL, "the uid in the object's metadata", 64)
VERSION = Check("resourceVersion", str.isdecimal, "the resourceVersion in the object's metadata", 24)
