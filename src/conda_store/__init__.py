"""conda-store: manages, builds and serves conda environments for whole organisations."""

__version__ = "2026.11.0"
