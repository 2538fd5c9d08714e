"""Consents, runs, folders of versions, deployments."""

import sqlalchemy as sa
from alembic import op

from moss_speech.catalogue import tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "consents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("speaker", sa.String(), nullable=True),
        sa.Column("terms", sa.String(), nullable=False),
        sa.Column("since", tables.Utc(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", tables.Utc(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('given', 'withdrawn')", name=op.f("ck_consents_state")),
        sa.CheckConstraint(
            "source IS NOT NULL OR speaker IS NOT NULL", name=op.f("ck_consents_whose")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    with op.batch_alter_table("consents", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_consents_source_speaker"), ["source", "speaker"], unique=False
        )

    op.create_table(
        "dataset_speakers",
        sa.Column("speaker", sa.String(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("n_kept", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_speakers_dataset_id")
        ),
        sa.PrimaryKeyConstraint("speaker", "dataset_id", name=op.f("pk_dataset_speakers")),
    )
    op.execute(
        "INSERT INTO dataset_speakers (speaker, dataset_id, n_kept) "
        "SELECT speaker, dataset_id, SUM(CASE WHEN kept THEN 1 ELSE 0 END) "
        "FROM verdicts GROUP BY speaker, dataset_id"
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("opened_at", tables.Utc(timezone=True), nullable=False),
        sa.Column("seen_at", tables.Utc(timezone=True), nullable=False),
        sa.Column("closed_at", tables.Utc(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deployments_digest"), ["digest"], unique=False)
        batch_op.create_index(batch_op.f("ix_deployments_seen_at"), ["seen_at"], unique=False)

    op.create_table(
        "runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("commit", sa.String(), nullable=False),
        sa.Column("uncommitted", sa.Boolean(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("output", sa.String(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("recorded_at", tables.Utc(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_runs_fingerprint"), ["fingerprint"], unique=False)

    op.create_table(
        "version_folders",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.CheckConstraint("role IN ('input', 'part')", name=op.f("ck_version_folders_role")),
        sa.ForeignKeyConstraint(
            ["version"], ["model_versions.version"], name=op.f("fk_version_folders_version")
        ),
        sa.PrimaryKeyConstraint(
            "version", "role", "name", "digest", name=op.f("pk_version_folders")
        ),
    )
    with op.batch_alter_table("version_folders", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_version_folders_digest"), ["digest"], unique=False)

    op.create_table(
        "version_runs",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_version_runs_run_id")),
        sa.ForeignKeyConstraint(
            ["version"], ["model_versions.version"], name=op.f("fk_version_runs_version")
        ),
        sa.PrimaryKeyConstraint("version", "run_id", name=op.f("pk_version_runs")),
    )


def downgrade() -> None:
    """Change them back."""
    op.drop_table("version_runs")
    with op.batch_alter_table("version_folders", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_version_folders_digest"))

    op.drop_table("version_folders")
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_runs_fingerprint"))

    op.drop_table("runs")
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deployments_seen_at"))
        batch_op.drop_index(batch_op.f("ix_deployments_digest"))

    op.drop_table("deployments")
    op.drop_table("dataset_speakers")
    with op.batch_alter_table("consents", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consents_source_speaker"))

    op.drop_table("consents")
