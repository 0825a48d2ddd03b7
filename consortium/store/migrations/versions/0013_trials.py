"""Addresses that our own people proved to be theirs, and test letters to them."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables; nobody has proved an address yet."""
    op.create_table(
        "own_boxes",
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["actor"], ["actors.id"]),
        sa.PrimaryKeyConstraint("actor"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "trials",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("campaign", sa.String(length=36), nullable=True),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("outcome", sa.String(length=60), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["actor"], ["actors.id"]),
        sa.ForeignKeyConstraint(["campaign"], ["campaigns.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_trials_actor", "trials", ["actor"])
    op.create_index("ix_trials_campaign", "trials", ["campaign"])
    op.create_index("ix_trials_state", "trials", ["state"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("trials")
    op.drop_table("own_boxes")
