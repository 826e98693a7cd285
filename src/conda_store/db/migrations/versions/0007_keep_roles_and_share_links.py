"""Keep roles and share links

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _keep_roles()
    _keep_share_links()


def _keep_roles() -> None:
    op.create_table(
        "role_binding",
        sa.Column("id", _ID, nullable=False),
        sa.Column("way", sa.String(32), nullable=False),
        sa.Column("namespace_id", _ID, nullable=False),
        sa.Column("holder", sa.String(300), nullable=False),
        sa.Column("entity_namespace", sa.String(255), nullable=False),
        sa.Column("entity_environment", sa.String(255), nullable=False),
        sa.Column("role", sa.String(80), nullable=False),
        sa.Column("given_by", sa.String(255), nullable=False),
        sa.Column("given_on", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespace.id"], name="fk_role_binding_namespace_id_namespace", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_role_binding"),
        sa.UniqueConstraint(
            "namespace_id",
            "way",
            "holder",
            "entity_namespace",
            "entity_environment",
            "role",
            name="uq_role_binding_namespace_id",
        ),
    )
    op.create_index(
        "ix_role_binding_holder",
        "role_binding",
        ["holder", "way", "entity_namespace", "entity_environment", "role"],
    )
    op.create_index("ix_role_binding_entity_namespace", "role_binding", ["entity_namespace"])


def _keep_share_links() -> None:
    op.create_table(
        "share_link",
        sa.Column("id", _ID, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("environment_id", _ID, nullable=False),
        sa.Column("given_by", sa.String(255), nullable=False),
        sa.Column("given_on", sa.DateTime(), nullable=False),
        sa.Column("expires_on", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environment.id"], name="fk_share_link_environment_id_environment", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_share_link"),
        sa.UniqueConstraint("digest", name="uq_share_link_digest"),
    )
    op.create_index("ix_share_link_environment_id", "share_link", ["environment_id"])
