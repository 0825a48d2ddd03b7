"""Each letter knows its messenger and its day; voters of a place keep theirs; a daily limit."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; letters of before are signed by whom their campaign names, on any day."""
    with op.batch_alter_table("messengers") as table:
        table.add_column(sa.Column("daily", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("deliveries") as table:
        table.add_column(
            sa.Column("messenger", sa.String(length=40), nullable=False, server_default="")
        )
        table.add_column(sa.Column("day", sa.Date(), nullable=True))
        table.create_index("deliveries_by_messenger", ["messenger", "claimed_at"])
    op.create_table(
        "neighbours",
        sa.Column("race", sa.String(length=40), nullable=False),
        sa.Column("zip", sa.String(length=20), nullable=False),
        sa.Column("precinct", sa.String(length=120), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("messenger", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["race"], ["races.id"]),
        sa.ForeignKeyConstraint(["messenger"], ["messengers.id"]),
        sa.PrimaryKeyConstraint("race", "zip", "precinct", "start"),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("neighbours")
    with op.batch_alter_table("deliveries") as table:
        table.drop_index("deliveries_by_messenger")
        table.drop_column("day")
        table.drop_column("messenger")
    with op.batch_alter_table("messengers") as table:
        table.drop_column("daily")
