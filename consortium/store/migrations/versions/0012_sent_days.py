"""How many letters left from each sending domain on each day."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; of days before it nothing is known, and every domain counts as new."""
    op.create_table(
        "sent_days",
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "day"),
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_table("sent_days")
