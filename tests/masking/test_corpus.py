"""The masking corpus: how many planted secrets are masked and how many innocent texts are not, by family."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from klepaas.output.redaction import MARK, redact_text

from .corpus import Text, innocent_texts, planted_texts, surviving

RECALL = 0.98
RECALL_OF_A_FAMILY = 0.90
FALSE_MASKING = 0.02


def rates(texts: Iterable[Text], good: Callable[[Text], bool]) -> dict[str, tuple[int, int, list[str]]]:
    """By family how many texts are treated well, how many there are, and those that are not."""
    found: dict[str, tuple[int, int, list[str]]] = defaultdict(lambda: (0, 0, []))
    for text in texts:
        well, count, bad = found[text.family]
        fine = good(text)
        found[text.family] = (well + fine, count + 1, bad if fine else [*bad, text.text])
    return found


def show(title: str, found: dict[str, tuple[int, int, list[str]]]) -> float:
    """Print the families and return the rate over all."""
    well, count = (sum(row[at] for row in found.values()) for at in (0, 1))  # type: ignore[misc]
    print(f"\n{title}: {well} of {count} = {well / count:.1%}")
    for family, (fine, all_, bad) in sorted(found.items(), key=lambda row: row[1][0] / row[1][1]):
        print(f"  {fine:4} of {all_:4}  {fine / all_:6.1%}  {family}")
        for text in bad:
            print(f"        {text!r}")
    return well / count


def test_planted_secrets_are_masked() -> None:
    texts = planted_texts()
    assert len(texts) >= 500
    found = rates(texts, lambda text: not surviving(text, redact_text(text.text)))
    assert show("recall of planted secrets", found) >= RECALL
    assert [family for family, (fine, count, _) in found.items() if fine / count < RECALL_OF_A_FAMILY] == []


def test_innocent_texts_stay_as_they_are() -> None:
    texts = innocent_texts()
    assert len(texts) >= 500
    found = rates(texts, lambda text: redact_text(text.text) == text.text)
    assert show("innocent texts left alone", found) >= 1 - FALSE_MASKING


def test_harmless_words_beside_a_secret_stay() -> None:
    texts = [text for text in planted_texts() if text.harmless]
    found = rates(texts, lambda text: all(word in redact_text(text.text) for word in text.harmless))
    assert show("texts whose harmless words stay", found) >= 1 - FALSE_MASKING


def test_masking_a_text_twice_is_masking_it_once() -> None:
    for text in (*planted_texts(), *innocent_texts()):
        once = redact_text(text.text)
        assert redact_text(once) == once, text.text
        assert (MARK in once) == (once != text.text)
