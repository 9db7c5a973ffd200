"""The texts of the prompts, a file for each language, so that who translates need not read code."""

__all__ = ["written"]


def written(name: str) -> str:
    """A file's text.

    Args:
        name: The file, one of this folder's.
    """
    from importlib.resources import files  # with the first prompt, not with the server

    return files(__name__).joinpath(name).read_text(encoding="utf-8")
