"""CPython as a conda package, from one of three sources.

prefix:/path   an installation that is there, such as pyenv's or that of a CI image (a second)
deb            Debian's own binaries with the standard library as upstream ships it (3.11 on Debian 12, seconds)
build          Debian's source package, compiled at the placeholder prefix (minutes, once)
auto           the first of these that is possible
"""

from __future__ import annotations

import os
import pickle
import platform
import re
import shutil
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .conda_package import EPOCH, PLACEHOLDER, Entry, File, Package, Symlink, read_tree
from .debian import Debian
from .elf import is_loadable, relocate
from .libraries import GLIBC, SUBDIR, Sonames
from .process import ChannelError, run, say
from .store import Cache, Made, key_of, package_key

# parts of the standard library that nobody needs here, or that need X11, Berkeley DB or NIS
_LEFT_OUT = re.compile(
    r"lib/python3\.\d+/("
    r"(test|idlelib|turtledemo|tkinter|site-packages)/|turtle\.py|EXTERNALLY-MANAGED"
    r"|.*/(tests?|idle_test|__pycache__)/|__pycache__/|config-.*\.(a|o|so)$"
    r"|lib-dynload/(_tkinter|_g?dbm|nis|_test\w*|_ctypes_test|_?xx\w*)\.)"
)
_BUILD_NEEDS = {
    "gcc": "build-essential",
    "make": "build-essential",
    "bzlib.h": "libbz2-dev",
    "ffi.h": "libffi-dev",
    "lzma.h": "liblzma-dev",
    "ncurses.h": "libncurses-dev",
    "openssl/ssl.h": "libssl-dev",
    "readline/readline.h": "libreadline-dev",
    "sqlite3.h": "libsqlite3-dev",
    "uuid/uuid.h": "uuid-dev",
    "zlib.h": "zlib1g-dev",
}
_COMPILE = """
import pickle, sys
from importlib._bootstrap_external import _code_to_timestamp_pyc
sources, mtime = pickle.load(sys.stdin.buffer)
compiled = {}
for path, source in sources.items():
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):  # templates, and tests of syntax errors
        continue
    compiled[path] = bytes(_code_to_timestamp_pyc(code, mtime, len(source)))
pickle.dump(compiled, sys.stdout.buffer)
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython that can be run here, and its package."""

    minor: str
    version: str
    executable: Path
    package: Made

    def byte_compiled(self, tree: dict[str, Entry], mtime: int) -> dict[str, Entry]:
        """The .pyc files of the modules in `tree`, valid for sources with that time in seconds."""
        return byte_compiled(self.executable, self.minor, tree, mtime)


@dataclass(frozen=True)
class _Home:
    """An installation laid out as a prefix; `built_at` is the prefix that its files mention."""

    directory: Path
    built_at: str
    identity: str


def choose(minor: str, source: str) -> str:
    """The source that `auto` stands for on this machine; any other source as it is."""
    if source != "auto":
        return source
    places = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"]
    if "AGENT_TOOLSDIRECTORY" in os.environ:  # where GitHub's runners keep theirs
        places.append(Path(os.environ["AGENT_TOOLSDIRECTORY"], "Python"))
    patterns = [f"{minor}.*/{between}bin/python{minor}" for between in ("", "*/")]
    found = [exe.parent.parent for place in places for pattern in patterns for exe in place.glob(pattern)]
    if found:
        return f"prefix:{max(found, key=lambda home: [int(n) for n in re.findall(r'[0-9]+', str(home))])}"
    is_bookworm = platform.freedesktop_os_release().get("VERSION_CODENAME") == "bookworm"
    return "deb" if minor == "3.11" and is_bookworm else "build"


def interpreter(cache: Cache, debian: Debian, minor: str, source: str, sonames: Sonames) -> Interpreter:
    """The package `python` of one minor version. `source` is as `choose` gives it."""
    kind, _, path = source.partition(":")
    match kind:
        case "prefix":
            home = _installed(Path(path), minor)
        case "deb":
            home = _from_debian(cache, debian, minor)
        case "build":
            home = _compiled(cache, debian, minor)
        case _:
            raise ChannelError(f"unknown source {source!r} of Python {minor}", "auto, deb, build or prefix:/path")
    executable = home.directory / f"bin/python{minor}"
    version = run(executable, "-c", "import platform; print(platform.python_version())").decode().strip()
    identity = ("python", version, home.identity, sorted(sonames.items()))
    build = f"h{key_of(identity)[:7]}_0_cpython"
    made = cache.package(package_key(identity), lambda: _package(home, executable, minor, version, build, sonames))
    return Interpreter(minor, version, executable, made)


def abi_package(cache: Cache, minor: str) -> Made:
    """`python_abi`, which ties compiled wheels to a minor version as in conda-forge."""
    tag = f"cp{minor.replace('.', '')}"
    needs = (f"python {minor}.* *_cpython",)
    package = Package("python_abi", minor, f"8_{tag}", 8, noarch="generic", constrains=needs)
    return cache.package(package_key("python_abi", minor), lambda: (package, {}))


def _package(
    home: _Home, executable: Path, minor: str, version: str, build: str, sonames: Sonames
) -> tuple[Package, dict[str, Entry]]:
    tree = {path: entry for path, entry in _files(home.directory, minor).items() if not _LEFT_OUT.match(path)}
    tree |= {"bin/python3": Symlink(f"python{minor}"), "bin/python": Symlink(f"python{minor}")}
    tree[f"lib/python{minor}/site-packages/README.txt"] = File(b"The packages of this environment.\n")
    _put_placeholder(tree, home.built_at)
    needed = relocate(tree)
    tree |= byte_compiled(executable, minor, tree, EPOCH)
    package = Package(
        "python",
        version,
        build=build,
        subdir=SUBDIR,
        depends=("tzdata", GLIBC, *sonames.depends(needed, "python")),
        constrains=(f"python_abi {minor}.* *_cp{minor.replace('.', '')}",),
        license="Python-2.0",
        about={"summary": f"CPython {version}", "home": "https://www.python.org"},
    )
    return package, tree


def _files(home: Path, minor: str) -> dict[str, Entry]:
    """What belongs to Python in a prefix that may hold much else."""
    tree: dict[str, Entry] = {}
    for folder in (f"lib/python{minor}", f"include/python{minor}", "lib/pkgconfig"):
        if (home / folder).is_dir():
            tree |= {f"{folder}/{path}": entry for path, entry in read_tree(home / folder).items()}
    programs = [home / "bin" / name for name in (f"python{minor}", f"python{minor}-config", f"pydoc{minor}")]
    for file in [*programs, *home.glob("lib/libpython*.so*")]:
        if file.exists():
            inside = file.relative_to(home).as_posix()
            executable = file.parent.name == "bin"
            link = file.is_symlink() and not executable
            tree[inside] = (
                Symlink(str(file.readlink())) if link else File(file.read_bytes(), 0o755 if executable else 0o644)
            )
    return tree


def _put_placeholder(tree: dict[str, Entry], built_at: str) -> None:
    """Exchange the old prefix in text files; in binaries it stands only if they were compiled at the placeholder."""
    if built_at == PLACEHOLDER:
        return
    old, where = re.escape(built_at).encode(), re.compile(r"")
    if built_at == "/usr":  # too common a word to exchange it everywhere
        old, where = (
            rb"(?<![\w./])/usr(?=/(?:lib|include|bin|share)\b|['\" ]|$)",
            re.compile(r"_sysconfigdata|config-|\.pc$"),
        )
    for path, entry in tree.items():
        if isinstance(entry, File) and not is_loadable(entry) and b"\0" not in entry.data and where.search(path):
            tree[path] = File(re.sub(old, PLACEHOLDER.encode(), entry.data, flags=re.M), entry.mode)


def byte_compiled(executable: Path, minor: str, tree: dict[str, Entry], mtime: int) -> dict[str, Entry]:
    """The .pyc files of the modules in `tree`. Those with the placeholder have none, as the installer changes them."""
    sources = {
        path: entry.data
        for path, entry in tree.items()
        if path.endswith(".py") and isinstance(entry, File) and PLACEHOLDER.encode() not in entry.data
    }
    job = pickle.dumps((sources, mtime), protocol=4)
    compiled = pickle.loads(run(executable, "-I", "-W", "ignore", "-c", _COMPILE, data=job))
    tag = f"cpython-{minor.replace('.', '')}"
    return {re.sub(r"([^/]+)\.py$", rf"__pycache__/\1.{tag}.pyc", path): File(pyc) for path, pyc in compiled.items()}


def _installed(directory: Path, minor: str) -> _Home:
    executable = directory / f"bin/python{minor}"
    if not executable.exists():
        raise ChannelError(f"there is no {executable}", "name the prefix of a CPython installation after prefix:")
    return _Home(directory, str(directory), f"{run(executable, '-VV').decode()} {executable.stat().st_mtime_ns}")


def _from_debian(cache: Cache, debian: Debian, minor: str) -> _Home:
    """Debian's interpreter and extension modules. The rest of the standard library is upstream's, as Debian's own
    site.py and sysconfig.py install into dist-packages."""
    minimal = f"python{minor}-minimal"
    debs = [minimal, *(f"libpython{minor}-{part}" for part in ("minimal", "stdlib", "dev"))]
    debian.fetch(debs)
    identity = debian.deb(minimal).name
    home = cache.folder("pythons") / f"debian-{package_key(identity)}"
    if home.exists():
        return _Home(home, "/usr", identity)
    say(f"Python {minor} out of Debian's binaries")
    unpacked = {path: entry for deb in debs for path, entry in debian.contents(deb).items()}
    tree = _standard_library(debian.source(f"python{minor}", debian.version(minimal)), minor)
    for path, entry in unpacked.items():
        if place := _place_of_debian(path, minor):
            tree[place] = _without_multiarch(entry) if place.endswith(".py") else entry
    program = unpacked[f"usr/bin/python{minor}"]
    assert isinstance(program, File)
    # a frozen site.py is in the executable: the two names have the same length
    tree[f"bin/python{minor}"] = File(program.data.replace(b"dist-packages", b"site-packages"), 0o755)
    with tempfile.TemporaryDirectory(dir=home.parent) as partial:
        _lay_out(tree, Path(partial, "home"))
        Path(partial, "home").rename(home)
    return _Home(home, "/usr", identity)


def _place_of_debian(path: str, minor: str) -> str | None:
    """Where a file of Debian's packages goes in a prefix; None if upstream's takes its place."""
    path = path.removeprefix("usr/")
    if path == f"include/x86_64-linux-gnu/python{minor}/pyconfig.h":
        return f"include/python{minor}/pyconfig.h"
    if re.match(rf"(include/python{minor}/|lib/python{minor}/(lib-dynload/|config-))", path):
        return path
    if re.match(rf"lib/python{minor}/_sysconfigdata__x86", path):
        return f"lib/python{minor}/_sysconfigdata__linux_x86_64-linux-gnu.py"
    return None


def _without_multiarch(entry: Entry) -> Entry:
    """Build settings that look for libraries right in lib/."""
    return File(entry.data.replace(b"/usr/lib/x86_64-linux-gnu", b"/usr/lib")) if isinstance(entry, File) else entry


def _standard_library(tarball: Path, minor: str) -> dict[str, Entry]:
    tree: dict[str, Entry] = {}
    with tarfile.open(tarball) as archive:
        for member in archive:
            _, _, path = member.name.partition("/Lib/")
            place = f"lib/python{minor}/{path}"
            if path and member.isfile() and not _LEFT_OUT.match(place):
                data = archive.extractfile(member)
                assert data is not None
                tree[place] = File(data.read())
    return tree


def _lay_out(tree: dict[str, Entry], directory: Path) -> None:
    for path, entry in tree.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, Symlink):
            file.symlink_to(entry.target)
        elif isinstance(entry, File):
            file.write_bytes(entry.data)
            file.chmod(entry.mode)


def _compiled(cache: Cache, debian: Debian, minor: str) -> _Home:
    """Debian's source package compiled, without profile-guided optimisation."""
    tarball = debian.source(f"python{minor}", minor)
    home = cache.folder("pythons") / tarball.name.split(".orig")[0]
    if home.exists():
        return _Home(home, PLACEHOLDER, tarball.name)
    _need_headers()
    say(f"Python {minor}: compiling {tarball.name}, which takes minutes but is done only once")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as directory:
        build, installed = Path(directory, "build"), Path(directory, "installed")
        build.mkdir()
        run("tar", "-xf", tarball, "-C", build, "--strip-components=1")
        options = ("--without-ensurepip", "--disable-test-modules", "--with-dbmliborder=")
        run("./configure", "-q", f"--prefix={PLACEHOLDER}", *options, cwd=build)
        run("make", "-s", f"-j{os.cpu_count() or 2}", cwd=build)
        run("make", "-s", "install", f"DESTDIR={installed}", cwd=build)
        Path(f"{installed}{PLACEHOLDER}").rename(home)
    say(f"Python {minor}: compiled in {time.monotonic() - start:.0f} s")
    return _Home(home, PLACEHOLDER, tarball.name)


def _need_headers() -> None:
    """What compiling needs is installed if root runs this, and asked for otherwise."""
    missing = _missing_headers()
    if not missing:
        return
    install = ("apt-get", "install", "--yes", *missing)
    if os.geteuid() == 0:
        say(f"installing {' '.join(missing)}")
        run(*install, hint="apt-get update, then try again")
        missing = _missing_headers()
    if missing:
        raise ChannelError(f"to compile Python, {', '.join(missing)} must be installed", f"sudo {' '.join(install)}")


def _missing_headers() -> list[str]:
    folders = (Path("/usr/include"), Path("/usr/include/x86_64-linux-gnu"))
    there = {need for need in _BUILD_NEEDS if any((folder / need).exists() for folder in folders) or shutil.which(need)}
    return sorted({package for need, package in _BUILD_NEEDS.items() if need not in there})
