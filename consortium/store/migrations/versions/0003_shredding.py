"""What is to be shredded is remembered until it is gone; a bundle says whose key wraps its own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and the column; what is there is wrapped to the key that its header names."""
    op.create_table(
        "doomed",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "withdrawn_rows",
        sa.Column("bundle", sa.String(length=36), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["bundle"], ["contributions.id"]),
        sa.PrimaryKeyConstraint("bundle", "row"),
    )
    op.add_column("contributions", sa.Column("wrapped_to", sa.String(length=64), nullable=True))
    contributions = sa.table(
        "contributions",
        sa.column("id", sa.String),
        sa.column("header", sa.JSON),
        sa.column("wrapped", sa.LargeBinary),
        sa.column("wrapped_to", sa.String),
    )
    base = op.get_bind()
    known = base.execute(
        sa.select(contributions.c.id, contributions.c.header).where(
            contributions.c.wrapped.is_not(None)
        )
    ).all()
    for id, header in known:
        named = header.get("mailer")
        base.execute(
            contributions.update()
            .where(contributions.c.id == id)
            .values(wrapped_to=named if isinstance(named, str) else None)
        )


def downgrade() -> None:
    """Take them away; the caller has shredded what was to be shredded, and re-wrapped nothing."""
    # In place: letters name this table, so SQLite must not write it anew.
    op.drop_column("contributions", "wrapped_to")
    op.drop_table("withdrawn_rows")
    op.drop_table("doomed")
