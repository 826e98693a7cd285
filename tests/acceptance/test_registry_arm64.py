"""An image for another processor: it was made without running anything, and runs there (here: in an emulator)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.clients import told
from tests.acceptance.service import Service, serving
from tests.acceptance.test_registry import BASE, copied
from tests.acceptance.test_registry_scale import ELF_MACHINES, elf_machine
from tests.conftest import ROOT, missing

pytestmark = [pytest.mark.acceptance, pytest.mark.channel]

ARM64 = ROOT / ".cache" / "arm64"
EMULATOR = "qemu-aarch64-static"
SCIENCE = """
name: science
dependencies: [python=3.11, numpy, odd-python, odd-activate, odd-clobber-a, odd-clobber-b]
variables: {SCIENCE_HOME: here}
"""
CODE = "import numpy, os, sys; print(numpy.ones(3).sum(), os.uname().machine, sys.prefix, os.environ['ODD_ACTIVATED'])"
# the first bytes of a program for it, and which of their bits count (binfmt-misc.rst of the kernel)
FORMAT = (
    r":aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:"
)
# in a user namespace of its own, so that the machine does not learn to run such programs
EMULATED = (
    "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && "
    'printf %s "$1" >/proc/sys/fs/binfmt_misc/register && shift && exec "$@"'
)
NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")


@pytest.fixture(scope="module")
def service(real_channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    for program in ("skopeo", "umoci", "unshare", EMULATOR):
        if shutil.which(program) is None:
            missing(f"the program {program}")
    if not BASE.exists() or not (ARM64 / "base-image.tar").exists():
        missing("a base image")
    directory = tmp_path_factory.mktemp("s")
    (directory / "root-amd64.tar").symlink_to(BASE)
    (directory / "root-arm64.tar").symlink_to(ARM64 / "base-image.tar")
    options = {
        "conda_default_channels": [(ARM64 / "channel").as_uri(), real_channel.as_uri()],
        "conda_solve_platforms": ["linux-64", "linux-aarch64"],
        "default_docker_base_image": f"tar:{directory}/root-{{architecture}}.tar",
    }
    with serving(directory, **options) as service:
        service.completed(SCIENCE)
        yield service


def unpacked(service: Service, name: str, directory: Path) -> Path:
    """The root directory of the image for arm64, as skopeo and umoci lay it out."""
    done = copied(service, name, directory / "image", "--override-arch=arm64")
    assert done.returncode == 0, done.stderr
    told("umoci", "unpack", "--image", f"{directory}/image:pulled", directory / "bundle")
    return directory / "bundle" / "rootfs"


def in_root(root: Path, *command: str) -> str:
    """What a command prints that is run as a container runs it: with the image's variables, through its entry point."""
    if os.geteuid() != 0 or subprocess.run([*NAMESPACES, EMULATED.partition("&&")[0]], check=False).returncode:
        pytest.skip("this kernel has no formats of programs for one user namespace")
    process = json.loads((root.parent / "config.json").read_bytes())["process"]
    variables = [item for item in process["env"] if not item.startswith(("HOME=", "TERM="))]
    emulator = f"{FORMAT}{shutil.which(EMULATOR)}:F"
    chroot = shutil.which("chroot") or "/usr/sbin/chroot"
    entry = process["args"][:-1]
    return told(*NAMESPACES, EMULATED, "sh", emulator, "env", "-i", *variables, chroot, root, *entry, *command)


def test_python_and_commands_run_on_the_other_processor(service: Service, tmp_path: Path) -> None:
    root = unpacked(service, "default/science:latest", tmp_path)
    assert elf_machine(root / "opt/conda/bin/python3.11") == ELF_MACHINES["arm64"]
    assert in_root(root, "python", "-c", CODE) == "3.0 aarch64 /opt/conda /opt/conda"
    assert in_root(root, "odd-python") == "/opt/conda"
    assert in_root(root, "sh", "-c", "echo $SCIENCE_HOME $CONDA_DEFAULT_ENV; uname -m") == "here science\naarch64"


def test_packages_by_their_names(service: Service, tmp_path: Path) -> None:
    root = unpacked(service, "conda-store-dynamic/linux-aarch64/python.lt.3.13/odd-python", tmp_path)
    assert elf_machine(root / "opt/conda/bin/python3.11") == ELF_MACHINES["arm64"]
    assert in_root(root, "odd-python") == "/opt/conda"
