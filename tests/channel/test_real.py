"""The channel of test.toml, installed and run. The first time it takes a minute or more, and the network."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.channel import make_channel

pytestmark = pytest.mark.channel
PLAN = Path(__file__).parents[2] / "tools/channel/test.toml"

IMPORTS = "import bz2, ctypes, curses, lzma, readline, sqlite3, ssl, uuid, numpy, pandas; print(numpy.__version__)"
LEFT_OVERS = """
import pathlib, sys
files = (path for path in pathlib.Path(sys.prefix).rglob("*") if path.is_file() and "conda-meta" not in path.parts)
print(sum(b"_placehold_placehold" in path.read_bytes() for path in files))
"""
FOREIGN_LIBRARIES = """
import sys, ssl, sqlite3, numpy, pandas
of_glibc = ("libc.", "libm.", "ld-linux", "libdl.", "libpthread.", "librt.")
mapped = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
foreign = (path.rsplit("/", 1)[-1] for path in mapped if not path.startswith(sys.prefix))
print(*sorted(name for name in foreign if not name.startswith(of_glibc)))
"""
KERNEL = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
print(client.execute_interactive("6 * 7", timeout=60)["content"]["status"])
manager.shutdown_kernel(now=True)
"""


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_channel(tmp_path_factory.mktemp("real") / "channel", PLAN)


def output(prefix: Path, command: str, *arguments: str) -> str:
    environment = {"PATH": f"{prefix}/bin:/usr/bin:/bin", "HOME": str(prefix.parent)}
    done = subprocess.run([prefix / "bin" / command, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("python", "numpy"), [("3.11", "1.26"), ("3.11", "2"), ("3.13", "2")])
def test_environment_works(
    channel: Path, tmp_path: Path, install_from: Callable[..., list[str]], python: str, numpy: str
) -> None:
    prefix = tmp_path / "env"
    specs = ("pandas", "ipykernel", "pip", "flask", "jq", "odd-prefix", "odd-python", "odd-post-link")
    install_from(channel, prefix, f"python={python}", f"numpy={numpy}", *specs)
    assert output(prefix, "python", "-c", IMPORTS).startswith(f"{numpy}.")
    assert output(prefix, "python", "-m", "pip", "check") == "No broken requirements found."
    assert output(prefix, "python", "-c", "import sysconfig as s; print(s.get_config_var('LIBDIR'))") == f"{prefix}/lib"
    assert output(prefix, "python", "-c", LEFT_OVERS) == "0"
    assert output(prefix, "python", "-c", FOREIGN_LIBRARIES) == ""
    assert "Flask" in output(prefix, "flask", "--version")
    for command in ("odd-prefix", "odd-prefix-python", "odd-python"):
        assert output(prefix, command) == str(prefix)
    assert (prefix / "odd-post-link.txt").exists()
    assert output(prefix, "python", "-c", KERNEL) == "42ok"  # what the cell shows, then the status


def test_a_second_run_changes_nothing(channel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_channel(channel, PLAN)
    assert "unchanged" in capsys.readouterr().out
