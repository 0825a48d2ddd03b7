"""Plans of several letters, what partners said of each, and the campaigns that came of them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; nobody has planned anything so far."""
    op.create_table(
        "programmes",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("race", sa.String(length=40), nullable=False),
        sa.Column("author", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["race"], ["races.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "programme_answers",
        sa.Column("programme", sa.String(length=36), nullable=False),
        sa.Column("partner", sa.String(length=40), nullable=False),
        sa.Column("yes", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["programme"], ["programmes.id"]),
        sa.PrimaryKeyConstraint("programme", "partner"),
    )
    op.create_table(
        "programme_letters",
        sa.Column("campaign", sa.String(length=36), nullable=False),
        sa.Column("programme", sa.String(length=36), nullable=False),
        sa.Column("letter", sa.String(length=40), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["campaign"], ["campaigns.id"]),
        sa.ForeignKeyConstraint(["programme"], ["programmes.id"]),
        sa.PrimaryKeyConstraint("campaign"),
        sa.UniqueConstraint("programme", "letter", "turn"),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("programme_letters")
    op.drop_table("programme_answers")
    op.drop_table("programmes")
