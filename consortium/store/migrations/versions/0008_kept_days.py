"""Days on which a partner writes to its own members, and no letter of the race leaves."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; nobody has named a day so far."""
    op.create_table(
        "kept_days",
        sa.Column("race", sa.String(length=40), nullable=False),
        sa.Column("partner", sa.String(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["race"], ["races.id"]),
        sa.PrimaryKeyConstraint("race", "partner", "day"),
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_table("kept_days")
