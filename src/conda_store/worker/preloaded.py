"""What the fork server imports before the first child is made, so that no child has to."""

import gc

import rattler  # noqa: F401
import sqlalchemy.orm  # noqa: F401

import conda_store.builder.engine
import conda_store.worker.app
import conda_store.worker.child  # noqa: F401

# what is there now stays: the collector need not look at it, and so does not write to memory shared with the children
gc.collect()
gc.freeze()
