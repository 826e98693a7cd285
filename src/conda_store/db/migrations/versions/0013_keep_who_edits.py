"""Keep who has an environment open for editing

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "editor",
        sa.Column("environment_id", _ID, nullable=False),
        sa.Column("identity", sa.String(300), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("seen_on", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environment.id"], name="fk_editor_environment_id_environment", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("environment_id", "identity", name="pk_editor"),
    )
    op.create_index("ix_editor_seen_on", "editor", ["seen_on"])
