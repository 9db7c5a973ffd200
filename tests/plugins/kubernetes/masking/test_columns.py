"""Cells of a custom kind's table, with the object that they print and without it."""

import pytest

from klepaas.output.redaction import MARK
from klepaas_plugins.kubernetes.masking import mask_cells

_SAYS = "Custom resource definition column (in JSONPath format): "
_OBJECT = {"kind": "Widget", "spec": {"auth": {"password": "plumTree9", "pin": 424242}, "mode": "fast"}}


def test_a_cell_that_prints_what_masking_hides_is_masked() -> None:
    columns = [("Name", ""), ("Login", "whatever"), ("Pin", ""), ("Mode", "")]
    cells = mask_cells(columns, ["w", "plumTree9", 424242, "fast"], _OBJECT, custom=True)
    assert cells == ["w", MARK, MARK, "fast"]


@pytest.mark.parametrize(
    ("description", "cell", "shown"),
    [
        (f"{_SAYS}.spec.auth.password", "plumTree9", MARK),
        (f"{_SAYS}.spec.credentials.main", "plumTree9", MARK),
        (f"{_SAYS}.spec.params[?(@.name=='API_TOKEN')].value", "plumTree9", MARK),
        (f"{_SAYS}.spec.secretRef.name", "web-db", "web-db"),
        (f"{_SAYS}.spec.mode", "fast lane", "fast lane"),
        (f"{_SAYS}.spec.url", "postgres://me:plumTree9@db/x", f"postgres://me:{MARK}@db/x"),
        ("The login", "plumTree9", MARK),
        ("The login", "true", "true"),
    ],
)
def test_without_its_object_a_cell_is_judged_by_the_path_of_its_column(description: str, cell: str, shown: str) -> None:
    assert mask_cells([("Login", description)], [cell], None, custom=True) == [shown]


def test_the_columns_of_a_built_in_kind_stay() -> None:
    cells = ["web", "app=web,token=blue", 3, None, True]
    assert mask_cells([("Name", ""), ("Selector", "")], cells, None, custom=False) == cells
