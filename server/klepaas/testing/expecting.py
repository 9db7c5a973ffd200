"""How the kit's assertions fail: also where Python runs without `assert`."""

__all__ = ["expect"]


def expect(fine: object, why: str) -> None:
    """Go on, or fail the test.

    Args:
        fine: Whether all is well.
        why: What is wrong otherwise.

    Raises:
        AssertionError: It is not.
    """
    if not fine:
        raise AssertionError(why)
