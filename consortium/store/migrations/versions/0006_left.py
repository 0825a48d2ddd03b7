"""Labels of rows and lists that left: those that wait, and the log's batches of them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "leaving",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("label", sa.LargeBinary(), nullable=False),
        sa.Column("partner", sa.String(40), nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["actors.id"]),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("label"),
    )
    op.create_table(
        "left_batches",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.String(64), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "left_labels",
        sa.Column("label", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["left_batches.number"]),
        sa.PrimaryKeyConstraint("label"),
    )
    op.create_index("ix_left_labels_number", "left_labels", ["number"])


def downgrade() -> None:
    """Take them away; the log keeps what it has, and the next batch would not follow from it."""
    op.drop_table("left_labels")
    op.drop_table("left_batches")
    op.drop_table("leaving")
