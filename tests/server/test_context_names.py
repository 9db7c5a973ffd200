"""A context is named as its kubeconfig names it."""

import pytest

from klepaas.names import CONTEXT


@pytest.mark.parametrize(
    "name", ["my cluster", "운영 클러스터", "gke_a-b_c", "arn:aws:eks:x:1:cluster/y", "me@host (old)"]
)
def test_a_context_with_spaces_or_korean_letters_can_be_named(name: str) -> None:
    assert CONTEXT.accepts(name)


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "..", "-n", "a\n", "a\x00", "a\u202e", "a\u200b", "a%00"])
def test_a_context_that_acts_or_hides_is_refused(name: str) -> None:
    assert not CONTEXT.accepts(name)
