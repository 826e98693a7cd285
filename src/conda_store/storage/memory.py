"""Blobs that live as long as the process: for tests, and for trying things out."""

from __future__ import annotations

from obstore.store import MemoryStore

from conda_store.storage.blobs import BlobStore


def memory_blobs() -> BlobStore:
    return BlobStore(MemoryStore())
