"""What checks of sending domains and of letters found, the newest of each."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; nothing was looked at yet, so every domain is red until it is."""
    op.create_table(
        "inspections",
        sa.Column("subject", sa.String(120), primary_key=True),
        sa.Column("about", sa.String(300), nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("inspections")
