"""A URI is taken apart in one way: no spelling of a slash or of dots becomes another segment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klepaas.parameters import DeclarationError
from klepaas.uri_templates import URI_MAX_CHARS, UriTemplate

THINGS = UriTemplate("klepaas://things/{place}/{name}")


def test_the_values_stand_where_their_variables_are() -> None:
    assert THINGS.match("klepaas://things/here/chair") == {"place": "here", "name": "chair"}


def test_a_template_without_variables_is_one_uri() -> None:
    plain = UriTemplate("klepaas://things")
    assert plain.match("klepaas://things") == {}
    assert plain.match("klepaas://things/") is None
    assert plain.match("klepaas://THINGS") is None


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("a%2Fb", "a/b"),
        ("%2e%2e", ".."),
        ("..", ".."),
        ("%252e", "%2e"),
        ("%ED%8C%8C", "파"),
        ("a:b@c", "a:b@c"),
        ("%00", "\x00"),
    ],
)
def test_a_segment_is_decoded_once_after_the_path_was_split(part: str, value: str) -> None:
    assert THINGS.match(f"klepaas://things/here/{part}") == {"place": "here", "name": value}


@pytest.mark.parametrize(
    "uri",
    [
        "klepaas://things/here",
        "klepaas://things/here/",
        "klepaas://things//chair",
        "klepaas://things/here/chair/",
        "klepaas://things/here/chair/leg",
        "klepaas://things/here/chair?x=1",
        "klepaas://things/here/chair#x",
        "klepaas://things/here/%",
        "klepaas://things/here/%zz",
        "klepaas://things/here/%ff",
        "klepaas://things/here/a b",
        "klepaas://things/here/파",
        "klepaas://things/here/a\\b",
        "klepaas:things/here/chair",
        "other://things/here/chair",
        "KLEPAAS://things/here/chair",
        "klepaas://user@things/here/chair",
        "klepaas://things:80/here/chair",
        " klepaas://things/here/chair",
        "klepaas://things/here/chair\n",
        "",
        "klepaas://things/here/" + "a" * URI_MAX_CHARS,
    ],
)
def test_what_is_not_of_the_form_is_no_uri_of_it(uri: str) -> None:
    assert THINGS.match(uri) is None


@given(place=st.text(min_size=1, max_size=40), name=st.text(min_size=1, max_size=40))
def test_every_value_comes_back_as_it_went_in(place: str, name: str) -> None:
    try:
        uri = THINGS.expand({"place": place, "name": name})
    except UnicodeEncodeError:  # half a character, which no URI can hold
        return
    assert THINGS.match(uri) == {"place": place, "name": name}


@given(st.text(max_size=200))
def test_no_text_makes_it_fail(text: str) -> None:
    found = THINGS.match(f"klepaas://things/{text}")
    assert found is None or set(found) == {"place", "name"}


@pytest.mark.parametrize(
    ("other", "overlap"),
    [
        ("klepaas://things/{a}/{b}", True),
        ("klepaas://things/here/{b}", True),
        ("klepaas://things/{a}", False),
        ("klepaas://others/{a}/{b}", False),
        ("weather://things/{a}/{b}", False),
    ],
)
def test_two_templates_overlap_when_one_uri_is_of_both(other: str, overlap: bool) -> None:
    assert THINGS.overlaps(UriTemplate(other)) is overlap
    assert UriTemplate(other).overlaps(THINGS) is overlap


@pytest.mark.parametrize(
    "text",
    [
        "",
        "things",
        "klepaas:things",
        "klepaas://",
        "klepaas:///x",
        "klepaas://{place}/x",
        "klepaas://things/{name}.yaml",
        "klepaas://things/{a}{b}",
        "klepaas://things/{a}/{a}",
        "klepaas://things/{a*}",
        "klepaas://things{?a}",
        "klepaas://Things/{a}",
        "klepaas://things/{a}/",
        "klepaas://things/../{a}",
        "Klepaas://things",
    ],
)
def test_other_templates_are_refused(text: str) -> None:
    with pytest.raises(DeclarationError):
        UriTemplate(text)
