"""What an operator decides about the engine, as plain values."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from conda_store.domain.addresses import AddressPolicy
from conda_store.domain.credential import Credentials


def bundled_uv() -> Path:
    """The `uv` program beside this Python, where the uv distribution put it; `uv` of the PATH otherwise."""
    beside = Path(sys.executable).with_name("uv.exe" if sys.platform == "win32" else "uv")
    return beside if beside.exists() else Path("uv")


@dataclass(frozen=True)
class BuilderOptions:
    """Times in seconds, sizes in bytes.

    `download_timeout` bounds a request for repodata, `package_timeout` one for a package, `stall_timeout` how long
    an installation may go on without any progress.
    `repodata_check_interval` is how long a channel is taken to be unchanged before it is asked again.
    `unused_packages_kept` is how long packages stay in the cache that nobody asks for; None is for ever.
    `is_offline` forbids the network: only repodata and packages in the cache are used.
    `authentication_file` is a rattler authentication file (host without port -> credentials).
    `addresses` says what may be asked on behalf of others. `credentials` are those of the namespace that is built for.
    `default_index_url` and `find_links` are where pip packages come from unless the specification says otherwise;
    None is uv's own default, an empty `default_index_url` no index at all. `only_wheels` takes nothing that runs code
    of its own when it is solved or built: no source distribution, no repository.
    """

    download_timeout: float = 300.0
    package_timeout: float = 3600.0
    stall_timeout: float = 120.0
    concurrent_downloads: int = 16
    download_retries: int = 3
    repodata_check_interval: float = 5.0
    channel_check_timeout: float = 10.0
    unused_packages_kept: float | None = 30 * 86400.0
    is_offline: bool = False
    authentication_file: Path | None = None
    uv: Path = field(default_factory=bundled_uv)
    pip_timeout: float = 600.0
    only_wheels: bool = False
    default_index_url: str | None = None
    find_links: tuple[str, ...] = ()
    virtual_packages: tuple[str, ...] = ()
    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    credentials: Credentials = field(default_factory=Credentials)
