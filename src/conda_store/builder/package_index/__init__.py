"""Listing and search over the content of channels, from an index that is built off their repodata.

    index = PackageIndex(directory)
    await index.refresh(["https://conda.anaconda.org/conda-forge"], ["linux-64"])
    page = index.search(PackageQuery(search="num", distinct_on=("name",)))

The directory holds, besides the downloaded repodata, one *part* for each channel and subdir (what the index needs of
one repodata.json) and one *catalog*, made of all parts, that answers the queries. Both are SQLite files that never
change once they are in place: a new one is written beside the old one and renamed over it. All work on repodata is
done in a child process (`refresh`), which takes a lock, so that any number of processes may share one directory.
"""

from conda_store.builder.package_index.index import PackageIndex
from conda_store.builder.package_index.model import (
    IndexedChannel,
    IndexOptions,
    PackagePage,
    PackageQuery,
    PackageRow,
)

__all__ = ["IndexOptions", "IndexedChannel", "PackageIndex", "PackagePage", "PackageQuery", "PackageRow"]
