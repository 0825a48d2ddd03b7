"""Messengers get a link of their own, of which the hash is kept, and may say no."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; nobody who was kept before has a link, so nobody counts as asked."""
    with op.batch_alter_table("messengers") as table:
        table.add_column(sa.Column("refused", sa.DateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("token_hash", sa.String(length=64), nullable=True))
        table.create_unique_constraint("messengers_token_hash_key", ["token_hash"])


def downgrade() -> None:
    """Take them away again; whoever confirmed stays confirmed."""
    with op.batch_alter_table("messengers") as table:
        table.drop_constraint("messengers_token_hash_key", type_="unique")
        table.drop_column("token_hash")
        table.drop_column("refused")
