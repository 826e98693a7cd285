"""Asks whether the locked packages have known vulnerabilities, and tells apart what pip-audit does not.

`python -m tools.audit [--requirement FILE] [--exceptions FILE] [options of pip-audit, such as --osv-url]`

Ends with 0 where none is known or each that is has an exception, with 1 where one has none, and with 2 where nothing
can be said: the advisory service was not reached, or does not know a package (an index that is a mirror often has no
advisories). An exception is a line `ID reason` of the file of exceptions.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CLEAN, VULNERABLE, UNKNOWN = range(3)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requirement", type=Path, default=ROOT / "requirements" / "dev.txt")
    parser.add_argument("--exceptions", type=Path, default=ROOT / "requirements" / "audit-exceptions.txt")
    options, others = parser.parse_known_args(arguments)
    try:
        exceptions = read_exceptions(options.exceptions)
    except ValueError as error:
        print(error)
        return UNKNOWN
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(options.requirement), *others]
    command += ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages: list[Mapping[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        why = (ended.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        print(f"NOT AUDITED: no advisory service was reached, so nothing is known of any package. {why}")
        return UNKNOWN
    return tell(packages, exceptions)


def read_exceptions(file: Path) -> dict[str, str]:
    """ID of an advisory -> why it does no harm here.

    Raises:
        ValueError: one has no reason.
    """
    found = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        advisory, _, reason = line.partition("#")[0].strip().partition(" ")
        if advisory and not reason.strip():
            raise ValueError(f"{file}:{number}: {advisory} needs a reason behind it")
        if advisory:
            found[advisory] = reason.strip()
    return found


def tell(packages: Sequence[Mapping[str, Any]], exceptions: Mapping[str, str]) -> int:
    """Print what was found; how to end."""
    used, count = set(), 0
    for package in packages:
        for advisory in package.get("vulns", ()):
            excepted = {advisory["id"], *advisory["aliases"]} & set(exceptions)
            used |= excepted
            name = f"{package['name']} {package['version']}: {advisory['id']}"
            if excepted:
                print(f"excepted: {name}: {exceptions[min(excepted)]}")
                continue
            count += 1
            fixed = ", ".join(advisory["fix_versions"]) or "no version"
            print(f"VULNERABLE: {name}, mended in {fixed}. {advisory['description']}")
    for advisory in sorted(set(exceptions) - used):
        print(f"the exception {advisory} is not needed any more")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        shown = ", ".join(skipped[:5]) + (" ..." if len(skipped) > 5 else "")
        print(
            f"NOT AUDITED: {len(skipped)} of {len(packages)} packages, of which the advisory service says nothing, "
            f"neither good nor bad: {shown}. Another may know them: "
            "make audit AUDIT_OPTIONS='--vulnerability-service osv'"
        )
    if not count and not skipped:
        print(f"{len(packages)} packages, no known vulnerability{' without an exception' if used else ''}")
    return VULNERABLE if count else UNKNOWN if skipped else CLEAN


if __name__ == "__main__":
    sys.exit(main())
