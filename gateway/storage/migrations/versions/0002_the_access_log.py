"""The tables of the access log, as the audit room describes them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "audit_event",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String(32), nullable=False, unique=True),
        sa.Column("idx", sa.BigInteger(), nullable=True, unique=True),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("time", sa.String(27), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
    )
    pending = sa.text("idx IS NULL")
    op.create_index("audit_event_pending", "audit_event", ["id"], sqlite_where=pending, postgresql_where=pending)
    op.create_index("audit_event_actor", "audit_event", ["actor", "id"])
    op.create_index("audit_event_kind", "audit_event", ["kind", "id"])
    op.create_index("audit_event_time", "audit_event", ["time"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("time", sa.String(27), nullable=False),
        sa.CheckConstraint("id = 1", name="audit_head_is_one_row"),
    )
    op.create_table(
        "audit_about",
        sa.Column("event_id", sa.String(32), sa.ForeignKey("audit_event.event_id"), primary_key=True),
        sa.Column("role", sa.String(64), primary_key=True),
        sa.Column("thing", sa.String(256), nullable=False),
    )
    op.create_index("audit_about_thing", "audit_about", ["thing"])
    op.create_table(
        "audit_personal",
        sa.Column("event_id", sa.String(32), sa.ForeignKey("audit_event.event_id"), primary_key=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("texts", sa.Text(), nullable=True),
    )
    op.create_table(
        "audit_witnessed",
        sa.Column("origin", sa.String(256), primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("contradiction", sa.Text(), nullable=True),
    )


def downgrade() -> None:
    """Undo the change. The log's files remain; without these rows they can only be checked as files."""
    for table in ("audit_witnessed", "audit_personal", "audit_about", "audit_head", "audit_event"):
        op.drop_table(table)
