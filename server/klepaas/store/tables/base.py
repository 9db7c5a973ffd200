"""The one metadata of all tables."""

from typing import Any, ClassVar

from sqlalchemy import JSON, Double, MetaData, Text
from sqlalchemy.orm import DeclarativeBase

__all__ = ["Base"]


class Base(DeclarativeBase):
    """What every table class stands on; constraints get names, without which SQLite cannot drop them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text, float: Double, dict[str, Any]: JSON, list[Any]: JSON}
