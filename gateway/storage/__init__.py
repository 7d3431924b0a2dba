"""What the gateway remembers, in SQLite or PostgreSQL. One transaction saves a thing together with its event."""
