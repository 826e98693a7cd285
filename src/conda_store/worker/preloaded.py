"""What the fork server imports before the first child is made, so that no child has to."""

import gc
import sys
from typing import Any

modules: dict[str, Any] = sys.modules
modules.setdefault("rich", None)  # see `cli.lean`

import rattler  # noqa: E402, F401

import conda_store.builder.engine  # noqa: E402
import conda_store.worker.app  # noqa: E402
import conda_store.worker.child  # noqa: E402, F401

# what is there now stays: the collector need not look at it, and so does not write to memory shared with the children
gc.collect()
gc.freeze()
