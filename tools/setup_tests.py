"""Everything that the tests need besides Python packages; it comes over the network, so it is no part of the tests.

As root on Debian it installs what is missing there; elsewhere it says what that is, and the tests that need it are
left out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.arm64 import make_arm64
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
    "qemu-aarch64-static": ("qemu-user-static",),
    "dockerd": ("docker.io", "iptables"),
    "docker": ("docker.io",),
    "node": ("nodejs",),
    "npm": ("npm",),
    "chromium": ("chromium", "fonts-dejavu-core"),
}
LIGHTHOUSE = ROOT / ".cache" / "lighthouse"


def main() -> int:
    _programs()
    _identity_providers()
    _lighthouse()
    try:
        make_channel(ROOT / ".cache" / "test-channel", ROOT / "tools" / "channel" / "test.toml")
        make_base_image(ROOT / ".cache" / "base-image.tar")
        make_arm64(ROOT / ".cache" / "arm64")
        make_channel(ROOT / ".cache" / "demo-channel" / "conda-forge", ROOT / "tools" / "channel" / "demo.toml")
    except ChannelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _identity_providers() -> None:
    """JupyterHub with its proxy, and an OpenID provider: made anew when what is locked has changed."""
    wanted, directory = ROOT / "tests" / "identity", ROOT / ".cache" / "identity"
    files = ("requirements.txt", "package.json", "package-lock.json")
    locked = hashlib.sha256(b"".join((wanted / name).read_bytes() for name in files)).hexdigest()
    ready = directory / ".ready"
    if shutil.which("npm") is None or (ready.exists() and ready.read_text() == locked):
        return
    directory.mkdir(parents=True, exist_ok=True)
    uv = str(Path(sys.executable).with_name("uv"))
    python = str(directory / "venv" / "bin" / "python")
    subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(directory / "venv")], check=True)
    requirements = ["--require-hashes", "-r", str(wanted / "requirements.txt")]
    subprocess.run([uv, "pip", "install", "-q", "--python", python, *requirements], check=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(wanted / name, directory / name)
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=directory, check=True)
    ready.write_text(locked)


def _programs() -> None:
    packages = sorted({name for program, names in PROGRAMS.items() if shutil.which(program) is None for name in names})
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"note: tests that need {', '.join(packages)} will be left out", file=sys.stderr)
        return
    apt = ["apt-get", "-qq", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=600"]
    asks_nothing = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*apt, "update"], check=True, env=asks_nothing)
    subprocess.run([*apt, "install", "-y", "--no-install-recommends", *packages], check=True, env=asks_nothing)


def _lighthouse() -> None:
    """Lighthouse as it is locked; nothing that comes with it is run on the way."""
    wanted = ROOT / "tests" / "browser" / "node"
    done = LIGHTHOUSE / "installed.json"
    lock = (wanted / "package-lock.json").read_bytes()
    if shutil.which("npm") is None or (done.exists() and done.read_bytes() == lock):
        return
    LIGHTHOUSE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(wanted / name, LIGHTHOUSE / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, check=True, cwd=LIGHTHOUSE)
    done.write_bytes(lock)


if __name__ == "__main__":
    sys.exit(main())
