"""The store: what klepaas keeps in SQL, in a SQLite file of the state folder or in PostgreSQL.

    tables/      what is kept, one small module a table
    migrations/  how a store of an earlier version becomes one of this version
    history.py, applications.py   what plugins use of it; the tables of operations are `klepaas.operations`' alone

SQLAlchemy and Alembic are imported with the first use of the store, never by importing this.
"""

from klepaas.store.database import Store
from klepaas.store.errors import CommitUnknown, StoreTooNew, StoreUnavailable

__all__ = ["CommitUnknown", "Store", "StoreTooNew", "StoreUnavailable"]
