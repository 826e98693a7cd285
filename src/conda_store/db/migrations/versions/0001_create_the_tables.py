"""Create the tables

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:

    op.create_table(
        "conda_channel",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_update", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conda_channel")),
        sa.UniqueConstraint("name", name=op.f("uq_conda_channel_name")),
    )
    op.create_table(
        "keyvaluestore",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prefix", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keyvaluestore")),
        sa.UniqueConstraint("prefix", "key", name=op.f("uq_keyvaluestore_prefix")),
    )
    op.create_table(
        "lock",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_lock")),
    )
    op.create_table(
        "namespace",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("deleted_on", sa.DateTime(), nullable=True),
        sa.Column("metadata_", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_namespace")),
    )
    with op.batch_alter_table("namespace", schema=None) as batch_op:
        batch_op.create_index(
            "uq_namespace_name",
            ["name"],
            unique=True,
            sqlite_where=sa.text("deleted_on IS NULL"),
            postgresql_where=sa.text("deleted_on IS NULL"),
        )

    op.create_table(
        "solve",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("lock_digest", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("owner", sa.String(length=255), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_solve")),
    )
    op.create_table(
        "specification",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.Column("is_lockfile", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_specification")),
        sa.UniqueConstraint("sha256", name=op.f("uq_specification_sha256")),
    )
    op.create_table(
        "conda_package",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("build", sa.String(length=255), nullable=False),
        sa.Column("subdir", sa.String(length=64), nullable=False),
        sa.Column("license", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["conda_channel.id"], name=op.f("fk_conda_package_channel_id_conda_channel")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conda_package")),
        sa.UniqueConstraint("identity", name=op.f("uq_conda_package_identity")),
    )
    with op.batch_alter_table("conda_package", schema=None) as batch_op:
        batch_op.create_index("ix_conda_package_name", ["name"], unique=False)

    op.create_table(
        "environment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("namespace_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("current_build_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("deleted_on", sa.DateTime(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column(
            "activation_floor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default="0", nullable=False
        ),
        sa.Column("linked_build_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespace.id"], name=op.f("fk_environment_namespace_id_namespace"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_environment")),
    )
    with op.batch_alter_table("environment", schema=None) as batch_op:
        batch_op.create_index("ix_environment_current_build_id", ["current_build_id"], unique=False)
        batch_op.create_index("ix_environment_name", ["name"], unique=False)
        batch_op.create_index(
            "uq_environment_namespace_id",
            ["namespace_id", "name"],
            unique=True,
            sqlite_where=sa.text("deleted_on IS NULL"),
            postgresql_where=sa.text("deleted_on IS NULL"),
        )

    op.create_table(
        "build",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("specification_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("environment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "QUEUED",
                "BUILDING",
                "COMPLETED",
                "FAILED",
                "CANCELED",
                name="buildstatus",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("status_info", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("scheduled_on", sa.DateTime(), nullable=False),
        sa.Column("started_on", sa.DateTime(), nullable=True),
        sa.Column("ended_on", sa.DateTime(), nullable=True),
        sa.Column("deleted_on", sa.DateTime(), nullable=True),
        sa.Column("purged_on", sa.DateTime(), nullable=True),
        sa.Column("build_key_version", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=512), nullable=True),
        sa.Column("prefix", sa.Text(), nullable=True),
        sa.Column("lock_digest", sa.String(length=64), nullable=True),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("not_before", sa.Float(), server_default="0", nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environment.id"], name=op.f("fk_build_environment_id_environment"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["specification_id"], ["specification.id"], name=op.f("fk_build_specification_id_specification")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_build")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("build", schema=None) as batch_op:
        batch_op.create_index("ix_build_environment_id", ["environment_id", "id"], unique=False)
        batch_op.create_index("ix_build_key", ["key"], unique=False)
        batch_op.create_index("ix_build_scheduled_on", ["scheduled_on"], unique=False)
        batch_op.create_index(batch_op.f("ix_build_specification_id"), ["specification_id"], unique=False)
        batch_op.create_index("ix_build_status", ["status", "not_before"], unique=False)
        batch_op.create_index(
            "ix_build_unpurged",
            ["deleted_on"],
            unique=False,
            sqlite_where=sa.text("deleted_on IS NOT NULL AND purged_on IS NULL"),
            postgresql_where=sa.text("deleted_on IS NOT NULL AND purged_on IS NULL"),
        )

    op.create_table(
        "build_artifact",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("build_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "artifact_type",
            sa.Enum(
                "DIRECTORY",
                "LOCKFILE",
                "LOGS",
                "YAML",
                "CONDA_PACK",
                "DOCKER_MANIFEST",
                "CONSTRUCTOR_INSTALLER",
                "CONTAINER_REGISTRY",
                "DOCKER_BLOB",
                name="buildartifacttype",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "ON_REQUEST",
                "REQUESTED",
                "MAKING",
                "READY",
                "FAILED",
                name="artifactstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["build_id"], ["build.id"], name=op.f("fk_build_artifact_build_id_build"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_build_artifact")),
        sa.UniqueConstraint("build_id", "artifact_type", "key", name=op.f("uq_build_artifact_build_id")),
    )
    with op.batch_alter_table("build_artifact", schema=None) as batch_op:
        batch_op.create_index("ix_build_artifact_state", ["state"], unique=False)

    op.create_table(
        "build_conda_package",
        sa.Column("build_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("conda_package_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["build_id"], ["build.id"], name=op.f("fk_build_conda_package_build_id_build"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["conda_package_id"],
            ["conda_package.id"],
            name=op.f("fk_build_conda_package_conda_package_id_conda_package"),
        ),
        sa.PrimaryKeyConstraint("build_id", "conda_package_id", name=op.f("pk_build_conda_package")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("build_conda_package", schema=None) as batch_op:
        batch_op.create_index("ix_build_conda_package_conda_package_id", ["conda_package_id"], unique=False)

    op.create_table(
        "build_log",
        sa.Column("build_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["build_id"], ["build.id"], name=op.f("fk_build_log_build_id_build"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("build_id", "sequence", name=op.f("pk_build_log")),
    )
