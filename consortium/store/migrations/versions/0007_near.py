"""Where a messenger lives, so that the nearest can be found: a ZIP, a precinct, or neither."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of those who were asked before nothing is known."""
    with op.batch_alter_table("messengers") as table:
        table.add_column(sa.Column("zip", sa.String(5), nullable=False, server_default=""))
        table.add_column(sa.Column("precinct", sa.String(120), nullable=False, server_default=""))


def downgrade() -> None:
    """Take them away."""
    with op.batch_alter_table("messengers") as table:
        table.drop_column("precinct")
        table.drop_column("zip")
