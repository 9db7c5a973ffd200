"""Migrations: one file a change of the tables, `versions/rNNNN_subject.py`, applied in the order of their numbers.

How to add one: write `r0006_subject.py` with `revision = "0006"` and `down_revision = "0005"`; add tables or columns
that may be empty, never drop or rename what the version before still reads, since an older server may be running on the
same store. `tests/server/store/test_migrations.py` compares the result with the tables' classes.
"""
