"""Gate results, item values, motives, recipes."""

import sqlalchemy as sa
from alembic import op

from moss_speech.catalogue import tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "item_sets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("recorded_at", tables.Utc(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_sets")),
    )
    with op.batch_alter_table("item_sets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_item_sets_digest"), ["digest"], unique=False)
    op.create_table(
        "item_values",
        sa.Column("set_id", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("fact", sa.String(), nullable=False),
        sa.Column("voice", sa.String(), nullable=False),
        sa.Column("asked", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["set_id"], ["item_sets.id"], name=op.f("fk_item_values_set_id")),
        sa.PrimaryKeyConstraint("set_id", "metric", "item", name=op.f("pk_item_values")),
    )
    op.create_table(
        "gate_results",
        sa.Column("promotion_id", sa.Integer(), nullable=False),
        sa.Column("gate", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("met", sa.Boolean(), nullable=False),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["promotion_id"], ["promotions.id"], name=op.f("fk_gate_results_promotion_id")
        ),
        sa.PrimaryKeyConstraint("promotion_id", "gate", name=op.f("pk_gate_results")),
    )
    op.create_table(
        "motives",
        sa.Column("promotion_id", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["promotion_id"], ["promotions.id"], name=op.f("fk_motives_promotion_id")
        ),
        sa.PrimaryKeyConstraint("promotion_id", name=op.f("pk_motives")),
    )
    op.create_table(
        "recipes",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("commit", sa.String(), nullable=False),
        sa.Column("edited", sa.JSON(), nullable=False),
        sa.Column("params", sa.String(), nullable=False),
        sa.Column("lock", sa.String(), nullable=False),
        sa.Column("packages", sa.JSON(), nullable=False),
        sa.Column("recorded_at", tables.Utc(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["model_versions.version"], name=op.f("fk_recipes_version")
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_recipes")),
    )


def downgrade() -> None:
    """Change them back."""
    for name in ("recipes", "motives", "gate_results", "item_values"):
        op.drop_table(name)
    with op.batch_alter_table("item_sets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_item_sets_digest"))
    op.drop_table("item_sets")
