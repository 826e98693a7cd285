"""From a plan to a channel."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .convert import conversions
from .debian import Debian
from .interpreter import Interpreter, abi_package, choose, interpreter
from .libraries import Sonames, debian_packages
from .oddities import oddities
from .plan import Plan, read_plan
from .process import ChannelError, say
from .stand_ins import stand_ins
from .store import Cache, Made, assemble, package_key, write_text
from .wheels import Wheel, Wheels, download, resolve


def default_cache() -> Path:
    """$XDG_CACHE_HOME/conda-store-channel, or ~/.cache/conda-store-channel."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "conda-store-channel"


def make_channel(out: Path, packages: Path, cache: Path | None = None, *, refresh: bool = False) -> Path:
    """Make the directory `out` the channel that the TOML file `packages` describes, and return `out`.

    Minutes the first time, less than a second when nothing changed, as all is cached. With `refresh` the newest
    versions are looked for again. Several processes may call it at once. Raises ChannelError with a hint.
    """
    start = time.monotonic()
    if (sys.platform, platform.machine()) != ("linux", "x86_64") or not shutil.which("apt-get"):
        raise ChannelError("channels are made on x86-64 machines with Debian or Ubuntu only", "use such a container")
    out = Path(out).resolve()
    plan = read_plan(Path(packages))
    store = Cache(Path(cache or default_cache()).resolve())
    with store.locked():
        made = _made(store, plan, refresh)
        changed = assemble(out, made, store)
    size = sum((out / one.path).stat().st_size for one in made)
    done = "made" if changed else "unchanged"
    say(f"{out}: {len(made)} packages, {size / 1e6:.0f} MB, {done} in {time.monotonic() - start:.1f} s")
    return out


def _made(cache: Cache, plan: Plan, refresh: bool) -> list[Made]:
    """The packages of a plan: those of the last run with the same plan and the same tool, or else made."""
    sources = {minor: choose(minor, source) for minor, source in plan.pythons.items()}
    remembered = cache.folder("plans") / package_key(repr(plan), sources)
    if not refresh and remembered.exists():
        found = [cache.made(key) for key in remembered.read_text().split()]
        made = [one for one in found if one]
        if len(made) == len(found):
            return made
    made = _make(cache, plan, sources, refresh)
    write_text(remembered, "\n".join(one.key for one in made))
    return made


def _make(cache: Cache, plan: Plan, sources: dict[str, str], refresh: bool) -> list[Made]:
    debian = Debian(cache)
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        files = pool.submit(_wheel_files, cache, plan, refresh)  # waits for the network while the rest works
        libraries, sonames = debian_packages(cache, debian, plan.tools)
        interpreters = _interpreters(cache, debian, sources, sonames)
        pythons = {minor: one.version for minor, one in interpreters.items()}
        wheels = Wheels(map(Wheel, files.result()), pythons)
        todo = sorted(conversions(wheels, interpreters), key=lambda one: -one.wheel.path.stat().st_size)
        new = sum(cache.made(one.key) is None for one in todo)
        say(f"{len(wheels.wheels)} wheels come to {len(todo)} packages, {new} of them new")
        converted = list(pool.map(lambda one: one.make(cache), todo))
    pythons_made = [one.package for one in interpreters.values()]
    compiled = [made for made in converted if not made.path.startswith("noarch/")]
    return [
        *libraries,
        *pythons_made,
        *(abi_package(cache, minor) for minor in interpreters),
        *converted,
        *stand_ins(cache, [*pythons_made, *compiled], plan.platforms),
        *(oddities(cache) if plan.odd else ()),
    ]


def _interpreters(cache: Cache, debian: Debian, sources: dict[str, str], sonames: Sonames) -> dict[str, Interpreter]:
    found = {}
    for minor, source in sources.items():
        found[minor] = interpreter(cache, debian, minor, source, sonames)
        say(f"Python {found[minor].version} from {source}")
    return found


def _wheel_files(cache: Cache, plan: Plan, refresh: bool) -> set[Path]:
    """The wheels of all stacks for all their Pythons."""
    pins: dict[str, set[str]] = {minor: set() for minor in plan.pythons}
    for stack in plan.stacks:
        for minor in stack.pythons:
            pins[minor].update(resolve(cache, stack.packages, minor, refresh))
    return {path for minor, wanted in pins.items() for path in download(cache, sorted(wanted), minor)}
