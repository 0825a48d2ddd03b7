"""Epochs are listed, a race's ghosts have locks in each, an audience says whose locks it has."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Every epoch so far is open, since when nobody knows; each race had one, and still has it."""
    op.create_table(
        "epochs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("opened", INSTANT, nullable=False),
        sa.Column("ended", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(
        "INSERT INTO epochs (id, state, opened)"
        " SELECT DISTINCT epoch, 'open', CURRENT_TIMESTAMP FROM races"
    )
    op.add_column("campaigns", sa.Column("epoch", sa.String(length=40), nullable=True))
    op.execute(
        "UPDATE campaigns SET epoch ="
        " (SELECT races.epoch FROM races WHERE races.id = campaigns.race)"
        " WHERE audience_digest IS NOT NULL"
    )
    _ghosts("(SELECT races.epoch FROM races WHERE races.id = before.race)", by_epoch=True)


def downgrade() -> None:
    """Only the ghosts of the epoch in which a race stands are kept."""
    op.execute(
        "DELETE FROM ghosts WHERE epoch <>"
        " (SELECT races.epoch FROM races WHERE races.id = ghosts.race)"
    )
    _ghosts("", by_epoch=False)
    op.drop_column("campaigns", "epoch")  # in place: rows of other tables hang on this one
    op.drop_table("epochs")


def _ghosts(epoch: str, *, by_epoch: bool) -> None:
    """Make the table anew under another primary key, which SQLite cannot change in place."""
    op.rename_table("ghosts", "before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX ghosts_pkey RENAME TO before_pkey")
    key = ["race", *(["epoch"] if by_epoch else [])]
    op.create_table(
        "ghosts",
        sa.Column("race", sa.String(length=40), nullable=False),
        *([sa.Column("epoch", sa.String(length=40), nullable=False)] if by_epoch else []),
        sa.Column("rows_digest", sa.String(length=64), nullable=False),
        sa.Column("links_digest", sa.String(length=64), nullable=False),
        sa.Column("rostered", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["race"], ["races.id"]),
        sa.PrimaryKeyConstraint(*key),
    )
    names = ", ".join([*key, "rows_digest", "links_digest", "rostered"])
    values = ", ".join([name for name in ("race", epoch) if name])
    op.execute(
        f"INSERT INTO ghosts ({names})"  # noqa: S608
        f" SELECT {values}, rows_digest, links_digest, rostered FROM before"
    )
    op.drop_table("before")
