"""Keep for which namespace an image by names of packages was made

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("environment", sa.Column("requested_for", sa.String(255)))
    op.create_index(
        "ix_environment_requested_for",
        "environment",
        ["requested_for"],
        sqlite_where=sa.text("requested_for IS NOT NULL"),
        postgresql_where=sa.text("requested_for IS NOT NULL"),
    )
