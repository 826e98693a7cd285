"""A self-extracting installer: a shell script of a fixed size, and behind it the archive as it is.

The options are those that people know from Miniconda's: `-b`, `-f`, `-p PREFIX`, `-h`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from conda_store.artifacts.scripts import render
from conda_store.domain.platform import Platform
from conda_store.errors import ArtifactFailed

HEADER_SIZE = 16 << 10
_COMMENT = b"#" * 79 + b"\n"


def installer_chunks(
    archive: Iterable[bytes], *, name: str, platform: Platform, archive_size: int, archive_sha256: str
) -> Iterator[bytes]:
    """The installer's bytes: 16 KiB of script, then the archive's. `archive_size` in bytes, `archive_sha256` in hex.

    Raises:
        ArtifactFailed: the environment is one for Windows, or the archive has another size than said.
    """
    if platform.is_windows:
        raise ArtifactFailed(
            f"an environment for {platform} has no installer", hint="Installers are made for Linux and macOS."
        )
    yield installer_header(name=name, platform=platform, archive_size=archive_size, archive_sha256=archive_sha256)
    size = 0
    for chunk in archive:
        size += len(chunk)
        yield chunk
    if size != archive_size:
        raise ArtifactFailed(f"the archive for the installer has {size} bytes instead of {archive_size}")


def installer_header(*, name: str, platform: Platform, archive_size: int, archive_sha256: str) -> bytes:
    """The script, filled up to `HEADER_SIZE` bytes with comments."""
    script = render(
        "installer.sh",
        {
            "NAME": name,
            "QUOTED_NAME": shlex.quote(name),
            "PLATFORM": platform.value,
            "HEADER_SIZE": str(HEADER_SIZE),
            "PAYLOAD_SIZE": str(archive_size),
            "PAYLOAD_SHA256": archive_sha256,
        },
    )
    missing = HEADER_SIZE - len(script)
    lines, rest = divmod(missing, len(_COMMENT))
    return script + _COMMENT * lines + (b"#" * (rest - 1) + b"\n" if rest else b"")
