"""How far the spools of events are in the tables."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "spools",
        sa.Column("spool", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Text()),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("spool", name=op.f("spools_pkey")),
    )


def downgrade() -> None:
    op.drop_table("spools")
