"""Where the files of noarch Python packages go: the environment's Python decides (CEP 17)."""

from __future__ import annotations

from conda_store.domain.lock import CondaPackage


def python_version(python: CondaPackage) -> str:
    """As in `python3.11`."""
    return ".".join(python.version.split(".")[:2])


def is_free_threaded(python: CondaPackage) -> bool:
    return f"cp{python_version(python).replace('.', '')}t" in python.build


def site_packages(python: CondaPackage) -> str:
    """Where modules go, relative to the prefix: as the record says, or as it has always been."""
    suffix = "t" if is_free_threaded(python) else ""
    return python.python_site_packages_path or f"lib/python{python_version(python)}{suffix}/site-packages"


def path_in_prefix(path: str, site_packages: str) -> str:
    """Where a file of such a package goes."""
    if path.startswith("site-packages/"):
        return f"{site_packages}/{path.removeprefix('site-packages/')}"
    if path.startswith("python-scripts/"):
        return f"bin/{path.removeprefix('python-scripts/')}"
    return path
