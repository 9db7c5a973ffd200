"""What POSIX and Windows do differently, in one place each: files, locks, processes, signals, sockets, users, commands.

Nothing else asks which system it runs on. Where something is missing on Windows, its absence decides and not the
system's name, so that tests can take it away.
"""
