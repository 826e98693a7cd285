"""What twenty related environments take in a registry: layers by package against one layer each.

Estimated with the sizes of packages in real records of conda-forge.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import zstandard

from conda_store.builder.engine import RattlerBuilder
from conda_store.builder.ports import SolveRequest
from conda_store.domain.image import LayerPlan, image_python, plan_layers
from conda_store.domain.lock import PlatformLock
from conda_store.domain.platform import Platform
from conda_store.domain.specification import Specification
from conda_store.errors import Unsolvable
from conda_store.services.solving import Silent

_SLICE = Path(__file__).parent.parent / "tests" / "data" / "conda-forge-slice.json.zst"
_BUDGET = 92  # of the default of 94: one for the base, one for the environment's own
_STACKS = (
    ("numpy",), ("numpy", "pandas"), ("scipy",), ("scikit-learn",), ("scikit-learn", "pandas", "requests"),
    ("pandas", "requests", "pooch"), ("scikit-learn", "pandas", "cryptography", "pooch"),
)  # fmt: skip


def shared_storage() -> dict[str, Any]:
    """Megabytes; environments are the stacks under several versions of Python, as a team's updates leave them."""
    with tempfile.TemporaryDirectory() as work:
        locks = asyncio.run(_locks(Path(work)))
    fat = sum(_size(lock) for lock in locks)
    stored: dict[str, int] = {}
    layers = []
    for lock in locks:
        plans = plan_layers(lock, _BUDGET)
        layers.append(len(plans))
        stored |= {plan.key(image_python(lock)): _plan_size(plan) for plan in plans}
    return {
        "environments": len(locks),
        "packages": sum(len(lock.conda) for lock in locks) / len(locks),
        "one_layer_each_megabytes": fat / 1e6,
        "layers_by_package_megabytes": sum(stored.values()) / 1e6,
        "ratio": sum(stored.values()) / fat,
    }


async def _locks(work: Path) -> list[PlatformLock]:
    _write_channel(work / "conda-forge")
    builder = RattlerBuilder(work / "cache")
    found: list[PlatformLock] = []
    for python in ("3.12", "3.11", "3.13", "3.10"):
        for stack in _STACKS:
            lines = (f"python={python}", *stack)
            specification = Specification("bench", ("conda-forge",), lines)
            request = SolveRequest(specification, (Platform.LINUX_64,), work.as_uri())
            try:
                found.append((await builder.solve(request, Silent())).platforms[0])
            except Unsolvable:
                continue  # the records are a part of the channel only
            if len(found) == 20:
                break
        if len(found) == 20:
            break
    await builder.close()
    return found


def _write_channel(directory: Path) -> None:
    data = zstandard.ZstdDecompressor().decompress(_SLICE.read_bytes())
    for subdir, records in json.loads(data).items():
        for file_name, record in records.items():
            record |= {"subdir": subdir, "sha256": hashlib.sha256(file_name.encode()).hexdigest()}
        (directory / subdir).mkdir(parents=True)
        old = {name: record for name, record in records.items() if name.endswith(".tar.bz2")}
        new = {name: record for name, record in records.items() if name not in old}
        document = {"info": {"subdir": subdir}, "packages": old, "packages.conda": new}
        (directory / subdir / "repodata.json").write_text(json.dumps(document))


def _size(lock: PlatformLock) -> int:
    return sum(package.size or 0 for package in lock.conda)


def _plan_size(plan: LayerPlan) -> int:
    return sum(package.size or 0 for package in plan.packages)
