"""What the fork server imports before the first child is made, so that no child has to."""

import rattler  # noqa: F401
import sqlalchemy.orm  # noqa: F401

import conda_store.worker.app
import conda_store.worker.child  # noqa: F401
