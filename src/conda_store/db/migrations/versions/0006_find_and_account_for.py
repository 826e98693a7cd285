"""Find environments by package versions; keep who asked for a build, why, and what of its size is its own

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("build", sa.Column("submitted_by", sa.String(255)))
    op.add_column("build", sa.Column("origin", sa.String(32), nullable=False, server_default="submitted"))
    op.add_column("build", sa.Column("shared_size", sa.BigInteger()))
    op.add_column("environment", sa.Column("search_text", sa.Text(), nullable=False, server_default=""))
    op.execute(
        "UPDATE environment SET search_text = lower((SELECT name FROM namespace WHERE namespace.id = namespace_id) "
        "|| '/' || name || ' ' || coalesce(description, ''))"
    )
    op.create_table(
        "package_version",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("version", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_package_version"),
        sa.UniqueConstraint("name", "version", name="uq_package_version_name"),
    )
    op.create_table(
        "environment_package",
        sa.Column("package_version_id", _ID, nullable=False),
        sa.Column("environment_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["package_version_id"],
            ["package_version.id"],
            name="fk_environment_package_package_version_id_package_version",
        ),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environment.id"],
            name="fk_environment_package_environment_id_environment",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("package_version_id", "environment_id", name="pk_environment_package"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_environment_package_environment_id", "environment_package", ["environment_id"])
    op.execute(
        "INSERT INTO package_version (name, version) SELECT DISTINCT lower(name), version FROM conda_package "
        "WHERE id IN (SELECT conda_package_id FROM build_conda_package)"
    )
    op.execute(
        "INSERT INTO environment_package (package_version_id, environment_id) "
        "SELECT DISTINCT package_version.id, environment.id FROM environment "
        "JOIN build_conda_package ON build_conda_package.build_id = environment.current_build_id "
        "JOIN conda_package ON conda_package.id = build_conda_package.conda_package_id "
        "JOIN package_version ON package_version.name = lower(conda_package.name) "
        "AND package_version.version = conda_package.version"
    )
