"""`python -m tools.channel`: make a channel."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import ChannelError, default_cache, make_channel

_HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.channel",
        description="Make a conda channel of real packages out of PyPI wheels, Debian packages and CPython.",
    )
    parser.add_argument("out", type=Path, metavar="OUTDIR", help="a new or empty directory, or a channel made before")
    parser.add_argument("--packages", type=Path, metavar="FILE.toml", default=_HERE / "demo.toml", help="what goes in")
    parser.add_argument("--cache", type=Path, metavar="DIR", help=f"for downloads and packages ({default_cache()})")
    parser.add_argument("--refresh", action="store_true", help="look for the newest versions again")
    options = parser.parse_args()
    try:
        make_channel(options.out, options.packages, options.cache, refresh=options.refresh)
    except ChannelError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
