"""Keep accounts and tokens

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("provider", sa.String(255), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("bindings", sa.JSON(), nullable=False),
        sa.Column("last_login_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_account"),
    )
    op.create_table(
        "token",
        sa.Column("id", _ID, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("identity", sa.String(300), nullable=False),
        sa.Column("primary_namespace", sa.String(255), nullable=False),
        sa.Column("limits", sa.JSON()),
        sa.Column("parent_id", _ID),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.Column("expires_on", sa.DateTime()),
        sa.Column("last_used_on", sa.DateTime()),
        sa.ForeignKeyConstraint(["parent_id"], ["token.id"], name="fk_token_parent_id_token", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
        sa.UniqueConstraint("digest", name="uq_token_digest"),
    )
    op.create_index("ix_token_identity", "token", ["identity"])
    op.create_index("ix_token_parent_id", "token", ["parent_id"])
    op.create_index("ix_token_expires_on", "token", ["expires_on"])
    op.create_table(
        "login_grant",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_code", sa.String(16)),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("challenge", sa.String(64)),
        sa.Column("redirect_uri", sa.Text()),
        sa.Column("identity", sa.String(300)),
        sa.Column("primary_namespace", sa.String(255)),
        sa.Column("is_denied", sa.Boolean(), nullable=False),
        sa.Column("expires_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_login_grant"),
        sa.UniqueConstraint("user_code", name="uq_login_grant_user_code"),
    )
    op.create_index("ix_login_grant_expires_on", "login_grant", ["expires_on"])
