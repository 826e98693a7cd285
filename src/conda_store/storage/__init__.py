"""Blobs by key: put a stream and get digest and size back, read a range, sign a URL."""

from conda_store.storage.blobs import BlobInfo, BlobStore, StoredBlob
from conda_store.storage.local import local_blobs
from conda_store.storage.memory import memory_blobs

__all__ = ["BlobInfo", "BlobStore", "StoredBlob", "local_blobs", "memory_blobs"]
