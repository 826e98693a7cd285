"""What policies leave out of a solve, and find in a lock, over repodata with licences and times."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from conda_store.builder.ports import Access, SolveRequest
from conda_store.domain.lock import Lock, load_lock
from conda_store.domain.package_policy import PackagePolicy
from conda_store.errors import PolicyViolation, Unsolvable
from tests.unit.builder.conftest import Bench, run

NOW = datetime.now(UTC)
WEEK = timedelta(days=7)
LAYERS = (("package_cooldown_days", "namespace team"), ("conda_forbidden_packages", "all namespaces"))


def record(name: str, version: str, *, age: int | None = 100, license: str | None = "MIT", **more: Any) -> Any:
    found = {
        "name": name, "version": version, "build": "0", "build_number": 0, "depends": [], "subdir": "noarch",
        "license": license, "sha256": sha256(f"{name} {version}".encode()).hexdigest(), "size": 1, "noarch": "generic",
    }  # fmt: skip
    if age is not None:
        found["timestamp"] = int((NOW - timedelta(days=age)).timestamp() * 1000)
    return {f"{name}-{version}-0.conda": found | more}


def write(directory: Path, *records: Any) -> None:
    packages = {file: item for one in records for file, item in one.items()}
    (directory / "noarch").mkdir(parents=True)
    text = json.dumps({"info": {"subdir": "noarch"}, "packages": {}, "packages.conda": packages})
    (directory / "noarch" / "repodata.json").write_text(text)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("policies")
    write(
        root / "main",
        record("tool", "1.0", license="MIT"),
        record("tool", "2.0", license="AGPL-3.0-only"),
        record("tool", "3.0", age=2, license="MIT"),
        record("fresh", "1.0", age=1),
        record("undated", "1.0", age=None),
        record("unlicensed", "1.0", license=None),
        record("app", "1.0", depends=["tool >=2"]),
        record("private", "1.0", age=1),
    )
    write(root / "extra", record("private", "9.0"), record("tool", "0.5"))
    return root


@pytest.fixture
def bench(root: Path, tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache", root.as_uri())


def solve(bench: Bench, *lines: str, policy: PackagePolicy, **keywords: Any) -> dict[str, str]:
    plain: SolveRequest = bench.request(*lines, **keywords)
    request = SolveRequest(
        plain.specification, plain.platforms, plain.channel_alias, plain.is_strict_channel_priority, 30.0, policy
    )
    lock: Lock = run(bench.builder.solve(request, bench.reporter))
    return {package.name: package.version for package in lock.platforms[0].conda}


@pytest.mark.parametrize(
    ("policy", "version"),
    [
        (PackagePolicy(), "3.0"),
        (PackagePolicy(cooldown=WEEK), "2.0"),
        (PackagePolicy(cooldown=timedelta(days=1)), "3.0"),
        (PackagePolicy(conda_forbidden=("tool >=2.5",)), "2.0"),
        (PackagePolicy(conda_forbidden=("main::tool 3.0",)), "2.0"),
        (PackagePolicy(conda_forbidden=("extra::tool",)), "3.0"),
        (PackagePolicy(cooldown=WEEK, forbidden_licenses=("AGPL-*",)), "1.0"),
        (PackagePolicy(allowed_licenses=("AGPL-*",)), "2.0"),
    ],
)
def test_an_older_or_other_package_is_chosen(bench: Bench, policy: PackagePolicy, version: str) -> None:
    assert solve(bench, "tool", policy=policy) == {"tool": version}


def day(age: int) -> str:
    return (NOW - timedelta(days=age)).date().isoformat()


def test_packages_as_of_a_day(bench: Bench, tmp_path: Path) -> None:
    assert solve(bench, "tool", policy=PackagePolicy(until=day(1))) == {"tool": "3.0"}
    assert solve(bench, "tool", policy=PackagePolicy(until=day(2))) == {"tool": "3.0"}
    assert solve(bench, "tool", policy=PackagePolicy(until=day(3))) == {"tool": "2.0"}
    # what does not say when it was made was always there
    assert solve(bench, "undated", policy=PackagePolicy(until=day(200))) == {"undated": "1.0"}
    with pytest.raises(Unsolvable, match=f"fresh 1.0 0: it was made on {day(1)}, after {day(5)}"):
        solve(bench, "fresh", policy=PackagePolicy(until=day(5)))
    # a mirror that took it up later has not made it
    today = int(NOW.timestamp() * 1000)
    write(tmp_path / "mirror", record("old", "1.0", age=50, indexed_timestamp=today))
    mirror = Bench(tmp_path / "cache2", tmp_path.as_uri())
    assert solve(mirror, "old", policy=PackagePolicy(until=day(40)), channels=("mirror",)) == {"old": "1.0"}


def test_the_explanation_names_the_rule_its_layer_and_what_it_kept_out(bench: Bench) -> None:
    with pytest.raises(Unsolvable) as caught:
        solve(bench, "fresh", policy=PackagePolicy(cooldown=WEEK, layers=LAYERS))
    text = str(caught.value)
    assert "`fresh` cannot be installed" in text
    assert "Left out by policy: fresh 1.0 0: it is of" in text
    assert "has to be 7 days old (package_cooldown_days, set for namespace team)" in text


def test_what_a_dependency_may_not_use_is_explained(bench: Bench) -> None:
    policy = PackagePolicy(conda_forbidden=("tool >=2",), layers=LAYERS)
    with pytest.raises(Unsolvable) as caught:
        solve(bench, "app", policy=policy)
    assert "tool 3.0 0: `tool >=2` is forbidden (conda_forbidden_packages, set for all namespaces)" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "policy"),
    [("undated", PackagePolicy(cooldown=WEEK)), ("unlicensed", PackagePolicy(allowed_licenses=("MIT",)))],
)
def test_what_is_not_known_is_not_allowed(bench: Bench, name: str, policy: PackagePolicy) -> None:
    with pytest.raises(Unsolvable) as caught:
        solve(bench, name, policy=policy)
    assert "unknown" in str(caught.value)
    assert solve(bench, name, policy=PackagePolicy(forbidden_licenses=("AGPL-*",))) == {name: "1.0"}


def test_a_private_name_that_is_too_new_is_not_taken_from_another_channel(bench: Bench) -> None:
    with pytest.raises(Unsolvable):
        solve(bench, "private", policy=PackagePolicy(cooldown=WEEK), channels=("main", "extra"))
    loose = solve(bench, "private", policy=PackagePolicy(cooldown=WEEK), channels=("main", "extra"), strict=False)
    assert loose == {"private": "9.0"}


def test_strict_priority_holds_under_policies(bench: Bench) -> None:
    policy = PackagePolicy(cooldown=WEEK)
    assert solve(bench, "tool", policy=policy, channels=("extra", "main")) == {"tool": "0.5"}


def test_a_lock_is_judged_by_what_its_channel_tells(bench: Bench) -> None:
    lock = bench.solve("tool", "unlicensed")
    policy = PackagePolicy(cooldown=WEEK, allowed_licenses=("MIT",), layers=LAYERS)
    found = run(bench.builder.refusals(lock, policy, bench.alias, Access()))
    assert [(item.rule, item.layer, item.value) for item in found] == [
        ("package_cooldown_days", "namespace team", "tool 3.0 0"),
        ("allowed_licenses", "the deployment", "unlicensed 1.0 0"),
    ]
    assert run(bench.builder.refusals(bench.solve("tool=1"), policy, bench.alias, Access())) == ()


def test_a_locked_package_that_its_channel_does_not_have_is_unknown(bench: Bench) -> None:
    lock = bench.solve("tool=1")
    document = json.loads(lock.dump().decode().replace("tool-1.0-0", "tool-1.0-1"))
    other = load_lock(json.dumps(document).encode())
    assert len(run(bench.builder.refusals(other, PackagePolicy(cooldown=WEEK), bench.alias, Access()))) == 1
    assert (
        run(bench.builder.refusals(other, PackagePolicy(forbidden_licenses=("AGPL-*",)), bench.alias, Access())) == ()
    )
    forbidden = PackagePolicy(conda_forbidden=("tool <2",))
    assert [item.rule for item in run(bench.builder.refusals(other, forbidden, bench.alias, Access()))] == [
        "conda_forbidden_packages"
    ]


def test_the_pip_part_is_judged_when_it_is_solved(channels: Path, wheels: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "pip", channels.as_uri(), find_links=(str(wheels),))
    policy = PackagePolicy(pypi_forbidden=("Beta >=1.2",))
    lines: dict[str, Any] = {"pip": ["alpha"]}
    with pytest.raises(PolicyViolation) as caught:
        solve(bench, "python=3.11", "numpy", policy=policy, **lines)
    assert [(item.rule, item.value) for item in caught.value.refusals] == [("pypi_forbidden_packages", "beta 1.2")]
    assert solve(bench, "python=3.11", "numpy", policy=policy, pip=["alpha", "beta<1.2"])
    # what has no upload time is left out
    with pytest.raises(Unsolvable) as unsolvable:
        solve(bench, "python=3.11", policy=PackagePolicy(cooldown=WEEK), pip=["beta"])
    assert "package_cooldown_days" in str(unsolvable.value)
