"""Circles: the projects of a dataset whose recipients are taken for one."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    with op.batch_alter_table("datasets") as table:
        table.add_column(sa.Column("circles", sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("datasets") as table:
        table.alter_column("circles", server_default=None)


def downgrade() -> None:
    """Undo the change."""
    with op.batch_alter_table("datasets") as table:
        table.drop_column("circles")
