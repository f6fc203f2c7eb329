"""How a run survives: PostgreSQL pool, embedded server, database migrations and the saver."""
