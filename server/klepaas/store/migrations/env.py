"""What Alembic runs: the migrations on the connection that klepaas hands it, inside the transaction that it is in."""

from alembic import context

from klepaas.store.tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
context.run_migrations()
