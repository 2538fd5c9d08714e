"""Figures know which evaluation they are of."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from alembic import op

from moss_speech.catalogue import tables

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_PAUSE = timedelta(seconds=10)
"""Figures of one evaluation were written at once; a longer pause begins another."""


def upgrade() -> None:
    """Change the tables."""
    sets = op.create_table(
        "evaluation_sets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("recorded_at", tables.Utc(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation_sets")),
    )
    with op.batch_alter_table("evaluation_sets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_evaluation_sets_digest"), ["digest"], unique=False)

    with op.batch_alter_table("evaluations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_evaluations_digest_metric"))
        batch_op.add_column(sa.Column("set_id", sa.Integer(), nullable=True))
    _sort_figures(op.get_bind(), sets)
    with op.batch_alter_table("evaluations", schema=None) as batch_op:
        batch_op.alter_column("set_id", existing_type=sa.Integer(), nullable=False)
        batch_op.create_index(batch_op.f("ix_evaluations_set_id"), ["set_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_evaluations_set_id"), "evaluation_sets", ["set_id"], ["id"]
        )


def _sort_figures(connection: sa.Connection, sets: sa.Table) -> None:
    """A figure that its bundle's evaluation has already, or one after a pause, begins another."""
    figures = sa.table(
        "evaluations",
        *(sa.column(name) for name in ("id", "digest", "metric", "set_id")),
        sa.column("recorded_at", tables.Utc(timezone=True)),
    )
    last: dict[str, tuple[int | None, set[str], datetime]] = {}
    for row in connection.execute(sa.select(figures).order_by(figures.c.id)).all():
        number, metrics, at = last.get(row.digest, (None, set(), row.recorded_at))
        if number is None or row.metric in metrics or row.recorded_at - at > _PAUSE:
            made = sets.insert().values(digest=row.digest, recorded_at=row.recorded_at)
            number, metrics = connection.scalar(made.returning(sets.c.id)), set()
        last[row.digest] = (number, metrics | {row.metric}, row.recorded_at)
        mine = figures.update().where(figures.c.id == row.id)
        connection.execute(mine.values(set_id=number))


def downgrade() -> None:
    """Change them back."""
    with op.batch_alter_table("evaluations", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_evaluations_set_id"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_evaluations_set_id"))
        batch_op.drop_column("set_id")
        batch_op.create_index(
            batch_op.f("ix_evaluations_digest_metric"), ["digest", "metric"], unique=False
        )

    with op.batch_alter_table("evaluation_sets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_evaluation_sets_digest"))

    op.drop_table("evaluation_sets")
