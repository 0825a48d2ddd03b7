"""The first schema, written out: a later change of the models changes no old migration."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table and index."""
    op.create_table(
        "actors",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("public", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("public"),
    )
    op.create_table(
        "entries",
        sa.Column("seq", SERIAL, autoincrement=True, nullable=False),
        sa.Column("leaf", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("openings", sa.JSON(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("leaf"),
        sa.UniqueConstraint("position"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "log_lock",
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("origin"),
    )
    op.create_table(
        "races",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("epoch", sa.String(length=40), nullable=False),
        sa.Column("agreement", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "rings",
        sa.Column("seq", SERIAL, autoincrement=True, nullable=False),
        sa.Column("task", sa.String(length=40), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("rung", INSTANT, nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index(op.f("ix_rings_rung"), "rings", ["rung"])
    op.create_table(
        "roster_chunks",
        sa.Column("epoch", sa.String(length=40), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("leaf", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "chunk"),
    )
    op.create_table(
        "spent_tokens",
        sa.Column("jti", sa.String(length=64), nullable=False),
        sa.Column("expires", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("jti"),
    )
    op.create_index(op.f("ix_spent_tokens_expires"), "spent_tokens", ["expires"])
    op.create_table(
        "suppressions",
        sa.Column("seq", SERIAL, autoincrement=True, nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("race", sa.String(length=40), nullable=True),
        sa.Column("partner", sa.String(length=40), nullable=True),
        sa.Column("epoch", sa.String(length=40), nullable=True),
        sa.Column("stop_key", sa.String(length=64), nullable=True),
        sa.Column("address_token", sa.String(length=32), nullable=True),
        sa.Column("person", sa.BigInteger(), nullable=True),
        sa.Column("bundle", sa.String(length=36), nullable=True),
        sa.Column("reason", sa.String(length=12), nullable=False),
        sa.Column("delivery", sa.String(length=64), nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index(op.f("ix_suppressions_address_token"), "suppressions", ["address_token"])
    op.create_index(op.f("ix_suppressions_person"), "suppressions", ["person"])
    op.create_index(op.f("ix_suppressions_race"), "suppressions", ["race"])
    op.create_index(op.f("ix_suppressions_stop_key"), "suppressions", ["stop_key"])
    op.create_table(
        "texts",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "agreement_signatures",
        sa.Column("race", sa.String(length=40), nullable=False),
        sa.Column("partner", sa.String(length=40), nullable=False),
        sa.Column("leaf", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["actors.id"]),
        sa.ForeignKeyConstraint(["race"], ["races.id"]),
        sa.PrimaryKeyConstraint("race", "partner"),
    )
    op.create_table(
        "browser_keys",
        sa.Column("public", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["actor"], ["actors.id"]),
        sa.PrimaryKeyConstraint("public"),
        sa.UniqueConstraint("code"),
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("race", sa.String(length=40), nullable=False),
        sa.Column("author", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("before_pause", sa.String(length=12), nullable=True),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("template", sa.JSON(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("estimate", sa.Integer(), nullable=True),
        sa.Column("nonce", sa.String(length=64), nullable=True),
        sa.Column("root", sa.String(length=64), nullable=True),
        sa.Column("audience_digest", sa.String(length=64), nullable=True),
        sa.Column("intent_leaf", sa.String(length=64), nullable=True),
        sa.Column("scheduled", INSTANT, nullable=True),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("waiting_for", sa.String(length=200), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("closed", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["author"], ["actors.id"]),
        sa.ForeignKeyConstraint(["race"], ["races.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_campaigns_race"), "campaigns", ["race"])
    op.create_index(op.f("ix_campaigns_state"), "campaigns", ["state"])
    op.create_table(
        "cells",
        sa.Column("seq", SERIAL, autoincrement=True, nullable=False),
        sa.Column("race", sa.String(length=40), nullable=False),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("key", sa.JSON(), nullable=False),
        sa.Column("answer", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["race"], ["races.id"]),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index(op.f("ix_cells_question"), "cells", ["question"])
    op.create_table(
        "charges",
        sa.Column("seq", SERIAL, autoincrement=True, nullable=False),
        sa.Column("race", sa.String(length=40), nullable=False),
        sa.Column("part", sa.String(length=44), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=40), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["race"], ["races.id"]),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("race", "part", "question"),
    )
    op.create_index(op.f("ix_charges_race"), "charges", ["race"])
    op.create_table(
        "contributions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("partner", sa.String(length=40), nullable=False),
        sa.Column("epoch", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("header", sa.JSON(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("rows_digest", sa.String(length=64), nullable=False),
        sa.Column("outputs_digest", sa.String(length=64), nullable=True),
        sa.Column("tokens_digest", sa.String(length=64), nullable=True),
        sa.Column("links_digest", sa.String(length=64), nullable=True),
        sa.Column("linked_roll", sa.String(length=36), nullable=True),
        sa.Column("rostered", sa.Boolean(), nullable=False),
        sa.Column("leaf", sa.String(length=64), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["actors.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_contributions_partner"), "contributions", ["partner"])
    op.create_table(
        "ghosts",
        sa.Column("race", sa.String(length=40), nullable=False),
        sa.Column("rows_digest", sa.String(length=64), nullable=False),
        sa.Column("links_digest", sa.String(length=64), nullable=False),
        sa.Column("rostered", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["race"], ["races.id"]),
        sa.PrimaryKeyConstraint("race"),
    )
    op.create_table(
        "memos",
        sa.Column("race", sa.String(length=40), nullable=False),
        sa.Column("part", sa.String(length=44), nullable=False),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.Integer(), nullable=True),
        sa.Column("sigma", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["race"], ["races.id"]),
        sa.PrimaryKeyConstraint("race", "part", "question"),
    )
    op.create_table(
        "messengers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("race", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("place", sa.String(length=120), nullable=False),
        sa.Column("confirmed", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["race"], ["races.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "rolls",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("steward", sa.String(length=40), nullable=False),
        sa.Column("epoch", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("header", sa.JSON(), nullable=False),
        sa.Column("attributes_digest", sa.String(length=64), nullable=False),
        sa.Column("outputs_digest", sa.String(length=64), nullable=True),
        sa.Column("tokens_digest", sa.String(length=64), nullable=True),
        sa.Column("leaf", sa.String(length=64), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["steward"], ["actors.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "sessions",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("expires", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["actor"], ["actors.id"]),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_table(
        "sign_ins",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("expires", INSTANT, nullable=False),
        sa.Column("used", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["actor"], ["actors.id"]),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_table(
        "approvals",
        sa.Column("campaign", sa.String(length=36), nullable=False),
        sa.Column("partner", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("leaf", sa.String(length=64), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["campaign"], ["campaigns.id"]),
        sa.ForeignKeyConstraint(["partner"], ["actors.id"]),
        sa.PrimaryKeyConstraint("campaign", "partner", "kind"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("campaign", sa.String(length=36), nullable=False),
        sa.Column("lock", sa.String(length=64), nullable=False),
        sa.Column("bundle", sa.String(length=36), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("partner", sa.String(length=40), nullable=False),
        sa.Column("person", sa.BigInteger(), nullable=False),
        sa.Column("address_token", sa.String(length=32), nullable=False),
        sa.Column("place", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("claimed_at", INSTANT, nullable=True),
        sa.Column("settled_at", INSTANT, nullable=True),
        sa.Column("stop_key", sa.String(length=64), nullable=True),
        sa.Column("verp", sa.String(length=64), nullable=False),
        sa.Column("capability_hash", sa.String(length=64), nullable=False),
        sa.Column("queue_id", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["bundle"], ["contributions.id"]),
        sa.ForeignKeyConstraint(["campaign"], ["campaigns.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("campaign", "lock"),
        sa.UniqueConstraint("campaign", "stop_key"),
        sa.UniqueConstraint("capability_hash"),
        sa.UniqueConstraint("verp"),
    )
    op.create_index("deliveries_by_person", "deliveries", ["person", "state"])
    op.create_index(op.f("ix_deliveries_address_token"), "deliveries", ["address_token"])
    op.create_index(op.f("ix_deliveries_campaign"), "deliveries", ["campaign"])
    op.create_index(op.f("ix_deliveries_person"), "deliveries", ["person"])
    op.create_index(op.f("ix_deliveries_state"), "deliveries", ["state"])


def downgrade() -> None:
    """Drop every table, those first that point at others."""
    op.drop_table("deliveries")
    op.drop_table("approvals")
    op.drop_table("sign_ins")
    op.drop_table("sessions")
    op.drop_table("rolls")
    op.drop_table("messengers")
    op.drop_table("memos")
    op.drop_table("ghosts")
    op.drop_table("contributions")
    op.drop_table("charges")
    op.drop_table("cells")
    op.drop_table("campaigns")
    op.drop_table("browser_keys")
    op.drop_table("agreement_signatures")
    op.drop_table("texts")
    op.drop_table("suppressions")
    op.drop_table("spent_tokens")
    op.drop_table("roster_chunks")
    op.drop_table("rings")
    op.drop_table("races")
    op.drop_table("log_lock")
    op.drop_table("leases")
    op.drop_table("entries")
    op.drop_table("actors")
