"""What proves that images are made for another processor: a channel with a real Python and NumPy for linux-aarch64, and
a base image for it. Nothing of it is run to make it; `qemu-aarch64-static` runs it in the tests.

Python is Debian's, and finds the libraries that it needs in the base image.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tools.base_image import make_base_image
from tools.channel import ChannelError
from tools.channel.conda_package import Entry, File, Symlink, read_tree
from tools.channel.debian import Debian
from tools.channel.process import program, run, say
from tools.channel.store import Cache
from tools.channel.tiny import index, write_package

SUBDIR = "linux-aarch64"
_PYTHON = "3.11"
_NUMPY = "1.26.4"
_DEBS = (f"python{_PYTHON}-minimal", f"libpython{_PYTHON}-minimal", f"libpython{_PYTHON}-stdlib")
_LIBRARIES = ("zlib1g", "libexpat1", "libffi8", "libstdc++6")
_LEFT_OUT = re.compile(r".*/(test|tests|idlelib|lib2to3|__pycache__)/")


class _Arm64(Debian):
    """The packages for arm64 of the releases that this machine gets its own from; its apt stays as it is."""

    def __init__(self, cache: Cache) -> None:
        super().__init__(cache)
        self._folder = cache.folder("debs")
        self._state = cache.folder("apt-arm64")

    def fetch(self, names: list[str]) -> None:
        missing = [name for name in names if not [*self._folder.glob(f"{name}_*.deb")]]
        if not missing:
            return
        say(f"downloading {len(missing)} Debian packages for arm64")
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (self._state / folder).mkdir(parents=True, exist_ok=True)
        settings = {
            "APT::Architecture": "arm64",
            "APT::Architectures::": "arm64",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Dir::State": self._state / "state",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": self._state / "cache",
        }
        apt = ("apt-get", "-qq", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}")))
        run(*apt, "update", hint="does the Debian mirror in /etc/apt have packages for arm64?")
        with tempfile.TemporaryDirectory(dir=self._folder) as directory:
            run(*apt, "download", *missing, cwd=Path(directory))
            for file in Path(directory).iterdir():
                file.replace(self._folder / file.name)


def make_arm64(directory: Path) -> None:
    """Make `directory/channel` and `directory/base-image.tar`, unless they are there.

    Raises:
        ChannelError: Debian's packages or the wheel cannot be had.
    """
    debian = _Arm64(Cache(directory.resolve()))
    make_base_image(directory / "base-image.tar", debian, _LIBRARIES)
    channel = directory / "channel"
    if (channel / SUBDIR / "repodata.json").exists():
        return
    debian.fetch([*_DEBS])
    version = debian.version(_DEBS[0])
    write_package(channel, "python", version, build="0_cpython", subdir=SUBDIR, files=_python(debian))
    needs = (f"python {_PYTHON}.*",)
    write_package(channel, "numpy", _NUMPY, build="py311_0", subdir=SUBDIR, depends=needs, files=_numpy())
    index(channel)


def _python(debian: Debian) -> dict[str, Entry]:
    unpacked = {path: entry for name in _DEBS for path, entry in debian.contents(name).items()}
    tree = {
        path.removeprefix("usr/"): entry
        for path, entry in unpacked.items()
        if path.startswith(f"usr/lib/python{_PYTHON}/") and not _LEFT_OUT.match(path)
    }
    program = unpacked[f"usr/bin/python{_PYTHON}"]
    if not isinstance(program, File):
        raise ChannelError(f"Debian's {_DEBS[0]} has no program python{_PYTHON}")
    # a frozen site.py is in the executable: the two names have the same length
    tree[f"bin/python{_PYTHON}"] = File(program.data.replace(b"dist-packages", b"site-packages"), 0o755)
    return tree | {f"bin/{name}": Symlink(f"python{_PYTHON}") for name in ("python", "python3")}


def _numpy() -> dict[str, Entry]:
    with tempfile.TemporaryDirectory() as directory:
        run(
            program("uv"), "pip", "install", "-q", "--target", directory, "--no-deps", "--only-binary=:all:",
            "--python-platform=aarch64-manylinux_2_28", f"--python-version={_PYTHON}", f"numpy=={_NUMPY}",
            cwd=Path(directory),
        )  # fmt: skip
        return {
            f"lib/python{_PYTHON}/site-packages/{path}": entry
            for path, entry in read_tree(Path(directory)).items()
            if not re.match(r"bin/|\.lock|.*/tests/", path)
        }
