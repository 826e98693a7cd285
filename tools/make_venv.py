"""Make the project's virtual environment with nothing but a Python: `make_venv.py DIRECTORY REQUIREMENTS`.

On Debian, whose Python comes without `ensurepip`, the package that holds it is installed first when run as root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(directory: Path, requirements: Path) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - any Python may run this file
        return _fail(f"Python {sys.version.split()[0]} is too old", "use `make PYTHON=python3.11` or a newer one")
    if not _can_make():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        package = f"python{version}-venv"
        if os.name != "posix" or os.geteuid() != 0 or shutil.which("apt-get") is None:
            return _fail("this Python has no ensurepip", f"install it, on Debian `apt-get install {package}`")
        apt = ["apt-get", "-qq", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=600"]
        asks_nothing = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run([*apt, "update"], check=True, env=asks_nothing)
        subprocess.run([*apt, "install", "-y", "--no-install-recommends", package], check=True, env=asks_nothing)
    if not (directory / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", str(requirements)], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", "."], check=True)
    return 0


def _can_make() -> bool:
    command = [sys.executable, "-c", "import ensurepip, venv"]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def _fail(problem: str, hint: str) -> int:
    print(f"error: {problem}: {hint}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
