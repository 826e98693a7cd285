"""Keep images

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "layer",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("diff_id", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_size", sa.BigInteger(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("activation", sa.JSON()),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_layer"),
    )
    op.create_index("ix_layer_digest", "layer", ["digest"])
    op.create_table(
        "image_manifest",
        sa.Column("build_id", _ID, nullable=False),
        sa.Column("media_type", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["build_id"], ["build.id"], name="fk_image_manifest_build_id_build", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("build_id", "media_type", name="pk_image_manifest"),
    )
    op.create_index("ix_image_manifest_digest", "image_manifest", ["digest"])
    op.create_table(
        "image_blob",
        sa.Column("build_id", _ID, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["build.id"], name="fk_image_blob_build_id_build", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("build_id", "digest", name="pk_image_blob"),
    )
    op.create_index("ix_image_blob_digest", "image_blob", ["digest"])
