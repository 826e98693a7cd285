"""Sweep blobs of images; images for several platforms

Revision ID: 0004
Revises: 0003
"""

import time

import sqlalchemy as sa
from alembic import op

from conda_store.domain.platform import current_platform

revision = "0004"
down_revision = "0003"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _keep_blobs()
    _add_platform()


def _keep_blobs() -> None:
    op.create_table(
        "kept_blob",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("used_on", sa.Float(), nullable=False),
        sa.Column("is_doomed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_kept_blob"),
    )
    op.create_index("ix_kept_blob_used_on", "kept_blob", ["used_on"])
    op.execute(
        sa.text(
            "INSERT INTO kept_blob (digest, used_on, is_doomed) SELECT digest, :now, :no FROM "
            "(SELECT digest FROM layer UNION SELECT digest FROM image_blob) AS known"
        ).bindparams(now=time.time(), no=False)
    )


def _add_platform() -> None:
    """The platform becomes part of the key: SQLite wants the table anew."""
    op.drop_index("ix_image_manifest_digest", "image_manifest")
    op.rename_table("image_manifest", "image_manifest_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE image_manifest_before DROP CONSTRAINT pk_image_manifest")
    op.create_table(
        "image_manifest",
        sa.Column("build_id", _ID, nullable=False),
        sa.Column("media_type", sa.String(128), nullable=False),
        sa.Column("platform", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["build_id"], ["build.id"], name="fk_image_manifest_build_id_build", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("build_id", "media_type", "platform", name="pk_image_manifest"),
    )
    op.execute(
        sa.text(
            "INSERT INTO image_manifest (build_id, media_type, platform, digest, content) "
            "SELECT build_id, media_type, :platform, digest, content FROM image_manifest_before"
        ).bindparams(platform=current_platform().value)
    )
    op.drop_table("image_manifest_before")
    op.create_index("ix_image_manifest_digest", "image_manifest", ["digest"])
