"""What comes back: signs of life, replies that wait for a yes, and where they may go."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the column, its index, and two tables; of letters before no sign is known."""
    with op.batch_alter_table("deliveries") as table:
        table.add_column(sa.Column("seen", _AT, nullable=True))
    op.create_index("deliveries_by_stop_key", "deliveries", ["stop_key"])
    op.create_table(
        "reply_boxes",
        sa.Column("messenger", sa.String(40), sa.ForeignKey("messengers.id"), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=True, unique=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("at", _AT, nullable=False),
    )
    op.create_table(
        "held_replies",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("delivery", sa.String(64), sa.ForeignKey("deliveries.id"), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("expires", _AT, nullable=False),
    )
    op.create_index("ix_held_replies_delivery", "held_replies", ["delivery"])
    op.create_index("ix_held_replies_expires", "held_replies", ["expires"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("held_replies")
    op.drop_table("reply_boxes")
    op.drop_index("deliveries_by_stop_key", "deliveries")
    with op.batch_alter_table("deliveries") as table:
        table.drop_column("seen")
