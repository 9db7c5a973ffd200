"""The server's own table of a list: what kubectl shows, laid out by the cluster, custom resources included.

Source: Kubernetes API concepts, "Receiving resources as Tables"; meta.k8s.io/v1 Table.
"""

from collections.abc import Mapping
from typing import Any

from klepaas_plugins.kubernetes.client.models import Column, Row, Table

__all__ = ["ACCEPT", "parse"]

ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def parse(document: Mapping[str, Any]) -> Table:
    """The table in an answer. An answer that is none (an old aggregated server) becomes a table of names."""
    metadata = document.get("metadata") or {}
    remaining = metadata.get("remainingItemCount")
    if document.get("kind") == "Table":
        columns, rows = _columns(document), _rows(document)
    else:
        columns, rows = _plain(document)
    return Table(
        columns=columns,
        rows=rows,
        cursor=str(metadata.get("continue") or "") or None,
        remaining=remaining if isinstance(remaining, int) else None,
        resource_version=str(metadata.get("resourceVersion") or ""),
    )


def _columns(document: Mapping[str, Any]) -> list[Column]:
    found = document.get("columnDefinitions") or ()
    return [
        Column(str(column.get("name")), int(column.get("priority") or 0), str(column.get("description") or ""))
        for column in found
    ]


def _rows(document: Mapping[str, Any]) -> list[Row]:
    definitions = document.get("columnDefinitions") or ()
    named = next((at for at, column in enumerate(definitions) if column.get("format") == "name"), None)
    return [_row(row, named) for row in document.get("rows") or ()]


def _row(row: Mapping[str, Any], named: int | None) -> Row:
    cells = list(row.get("cells") or ())
    metadata = (row.get("object") or {}).get("metadata") or {}
    name = metadata.get("name")
    if name is None and named is not None and named < len(cells):
        name = str(cells[named])
    return Row(cells, name, metadata.get("namespace"), row.get("object"))


def _plain(document: Mapping[str, Any]) -> tuple[list[Column], list[Row]]:
    items = document.get("items") if "items" in document else [document]
    metadatas = [item.get("metadata") or {} for item in items or ()]
    rows = [
        Row([item.get("name"), item.get("creationTimestamp")], item.get("name"), item.get("namespace"))
        for item in metadatas
    ]
    return [Column("Name", 0), Column("Created At", 0)], rows
