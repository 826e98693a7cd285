"""Keep images whose layers are compressed otherwise

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.drop_index("ix_image_manifest_digest", "image_manifest")
    op.rename_table("image_manifest", "image_manifest_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE image_manifest_before DROP CONSTRAINT pk_image_manifest")
    op.create_table(
        "image_manifest",
        sa.Column("build_id", _ID, nullable=False),
        sa.Column("media_type", sa.String(128), nullable=False),
        sa.Column("platform", sa.String(32), nullable=False),
        sa.Column("compression", sa.String(16), nullable=False, server_default="gzip"),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["build_id"], ["build.id"], name="fk_image_manifest_build_id_build", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("build_id", "media_type", "platform", "compression", name="pk_image_manifest"),
    )
    op.execute(
        "INSERT INTO image_manifest (build_id, media_type, platform, digest, content) "
        "SELECT build_id, media_type, platform, digest, content FROM image_manifest_before"
    )
    op.drop_table("image_manifest_before")
    op.create_index("ix_image_manifest_digest", "image_manifest", ["digest"])
