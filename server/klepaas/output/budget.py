"""How long an answer may be. A cut answer says that it was cut, by how much, and how to go on."""

__all__ = ["LIST_BYTES", "fit"]

# A list longer than this is rarely read to its end, and every conversation pays for it.
LIST_BYTES = 10_000


def fit(text: str, max_bytes: int, more: str = "Ask for less, or narrower") -> str:
    """The text, cut at the end of a line where it is too long.

    Args:
        text: The whole text.
        max_bytes: Longest result, in bytes of UTF-8, the note about the cut included.
        more: How to see the rest, without the final full stop.
    """
    size_bytes = len(text.encode())
    if size_bytes <= max_bytes:
        return text
    lines = text.count("\n") + 1
    room_bytes = max(0, max_bytes - len(more.encode()) - 80)
    kept = text.encode()[:room_bytes].decode(errors="ignore")
    if "\n" in kept:
        kept = kept[: kept.rindex("\n")]
    left_out = lines - kept.count("\n") - 1
    counted = f"{left_out} more lines" if left_out else "the rest of the line"
    return f"{kept}\n[cut: {counted}, {size_bytes - len(kept.encode())} bytes. {more}.]"
