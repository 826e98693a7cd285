"""Index what lists ask for

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.drop_index("ix_build_environment_id", table_name="build")
    op.create_index("ix_build_environment_id", "build", ["environment_id", "id", "status", "size"])
    op.drop_index("ix_build_status", table_name="build")
    op.create_index("ix_build_status", "build", ["status", "id"])
    op.create_index("ix_build_started_on", "build", ["started_on"])
    op.create_index("ix_build_ended_on", "build", ["ended_on"])
    op.create_index("ix_build_artifact_artifact_type", "build_artifact", ["artifact_type", "build_id", "state"])
    op.create_index(
        "ix_environment_deleted_on",
        "environment",
        ["deleted_on"],
        sqlite_where=sa.text("deleted_on IS NOT NULL"),
        postgresql_where=sa.text("deleted_on IS NOT NULL"),
    )
