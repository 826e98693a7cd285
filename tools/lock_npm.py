"""Writes the lock files of the npm packages that tests need: versions and hashes, no address.

`python -m tools.lock_npm`
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
# where a package comes from is the registry's affair; who asks for money, and where, is nobody's here
_LEFT_OUT = ("resolved", "funding")


def main() -> None:
    for directory in (ROOT / "tests" / "identity", ROOT / "tests" / "browser" / "node"):
        command = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=directory, check=True)
        file = directory / "package-lock.json"
        file.write_text(without_addresses(file.read_text()))


def without_addresses(lock: str) -> str:
    document = json.loads(lock)
    for package in document["packages"].values():
        for key in _LEFT_OUT:
            package.pop(key, None)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
