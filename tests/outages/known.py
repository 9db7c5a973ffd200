"""Cases that are known to go wrong, each with the reason.

One that goes well fails the test, so the list is true.
"""

KNOWN: dict[str, str] = {
    "rollback/in-the-hold/slow/10h": "each try of half a minute without an answer counts into the deadline",
}
