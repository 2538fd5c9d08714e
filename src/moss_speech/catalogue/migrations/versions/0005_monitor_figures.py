"""What monitoring found."""

import sqlalchemy as sa
from alembic import op

from moss_speech.catalogue import tables

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "monitor_figures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("watch", sa.String(length=16), nullable=False),
        sa.Column("begins_at", tables.Utc(timezone=True), nullable=False),
        sa.Column("ends_at", tables.Utc(timezone=True), nullable=False),
        sa.Column("figure", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("begins_reference", sa.Boolean(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("reference", sa.Double(), nullable=True),
        sa.Column("distance", sa.Double(), nullable=True),
        sa.Column("p", sa.Double(), nullable=True),
        sa.Column("drifted", sa.Boolean(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("recorded_at", tables.Utc(timezone=True), nullable=False),
        sa.CheckConstraint(
            "role IN ('reference', 'compared', 'few', 'canary')",
            name=op.f("ck_monitor_figures_role"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitor_figures")),
    )
    with op.batch_alter_table("monitor_figures", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_monitor_figures_figure_version"), ["figure", "version"], unique=False
        )


def downgrade() -> None:
    """Change them back."""
    with op.batch_alter_table("monitor_figures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_monitor_figures_figure_version"))

    op.drop_table("monitor_figures")
