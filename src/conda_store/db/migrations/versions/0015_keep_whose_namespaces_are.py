"""Keep whether the namespace of a user's name is theirs

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("account", sa.Column("owns_namespace", sa.Boolean(), nullable=False, server_default=sa.true()))
