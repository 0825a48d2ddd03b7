"""One index that follows a letter's state instead of three, and one for what came back of it."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two less to write for each claim and each outcome; a person has few letters to look at."""
    op.drop_index("ix_deliveries_state", "deliveries")
    op.drop_index("ix_deliveries_campaign", "deliveries")
    op.drop_index("deliveries_by_person", "deliveries")
    op.create_index("deliveries_by_campaign", "deliveries", ["campaign", "state"])
    op.create_index("ix_suppressions_delivery", "suppressions", ["delivery"])


def downgrade() -> None:
    """Put the three back."""
    op.drop_index("ix_suppressions_delivery", "suppressions")
    op.drop_index("deliveries_by_campaign", "deliveries")
    op.create_index("deliveries_by_person", "deliveries", ["person", "state"])
    op.create_index("ix_deliveries_campaign", "deliveries", ["campaign"])
    op.create_index("ix_deliveries_state", "deliveries", ["state"])
