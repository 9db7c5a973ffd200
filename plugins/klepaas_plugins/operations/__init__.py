"""The tools with which a client asks after operations: what is under way, how it ended, and to cancel it."""
