"""Everything that the tests need besides Python packages; it comes over the network, so it is no part of the tests.

As root on Debian it installs what is missing there; elsewhere it says what that is, and the tests that need it are
left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.base_image import make_base_image
from tools.channel import ChannelError, make_channel

ROOT = Path(__file__).parent.parent
# program -> Debian packages
PROGRAMS = {
    "setpriv": ("util-linux",),
    "dash": ("dash",),
    "busybox": ("busybox-static",),
    "mount": ("mount",),
    "pg_ctlcluster": ("postgresql",),  # its server is not in the path
    "skopeo": ("skopeo",),
    "umoci": ("umoci",),
    "docker-registry": ("docker-registry",),
    "podman": ("podman", "conmon", "golang-github-containers-common"),
    "runc": ("runc",),
    "ctr": ("containerd",),
    "chromium": ("chromium", "fonts-dejavu-core"),
}


def main() -> int:
    _programs()
    try:
        make_channel(ROOT / ".cache" / "test-channel", ROOT / "tools" / "channel" / "test.toml")
        make_base_image(ROOT / ".cache" / "base-image.tar")
        make_channel(ROOT / ".cache" / "demo-channel" / "conda-forge", ROOT / "tools" / "channel" / "demo.toml")
    except ChannelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _programs() -> None:
    packages = sorted({name for program, names in PROGRAMS.items() if shutil.which(program) is None for name in names})
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"note: tests that need {', '.join(packages)} will be left out", file=sys.stderr)
        return
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], check=True)


if __name__ == "__main__":
    sys.exit(main())
