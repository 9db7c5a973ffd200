"""What a change of an application would do: which application is meant, and the change as a `ChangeSet`.

Nothing here writes. Each name is loaded with its first use, by its module.
"""
