"""The invitation of an RTC leg: what names it in signalling, as the Call-ID does a SIP leg."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("legs", sa.Column("invitation", sa.Text()))


def downgrade() -> None:
    # SQLite has this since 3.35; copying a table that others refer to would lose what they refer to.
    op.execute("ALTER TABLE legs DROP COLUMN invitation")
