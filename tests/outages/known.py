"""Cases that are known to go wrong, each with the reason.

One that goes well fails the test, so the list is true.
"""

KNOWN: dict[str, str] = {}
