"""Know which paths the packages of a layer bring

What is known of layers so far is forgotten: their blobs stay, and are found again when a layer is made anew.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("layer", sa.Column("path_marks", sa.LargeBinary()))
    op.execute("DELETE FROM layer")
