"""The guard around the package cache."""

from __future__ import annotations

import os
import shutil
import stat
import time

import pytest

from conda_store.builder.engine import RattlerBuilder
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.seals import DamagedPackage
from tools.channel.tiny import PLACEHOLDER


@pytest.fixture
def package(site):
    package = site.add("thing", files={"share/one": "one", "share/two": "two", "etc/own": PLACEHOLDER})
    site.install("first")
    return package


def test_seal_counts_what_an_environment_gets(site, package):
    seal = PackageCache(site.cache.root).seal_of(package)
    assert (seal.files, seal.size) == (3, 6)
    assert seal.own == ("etc/own",)
    directory = site.cache.directory(package)
    assert stat.S_IMODE((directory / "share/one").stat().st_mode) == 0o444


def test_own_copies_stay_writable(site, package):
    assert (site.store / "first/etc/own").stat().st_mode & 0o200


def test_package_that_is_not_there_cannot_be_sealed(site):
    package = site.add("absent", files={"a": "a"})
    assert site.cache.seal_of(package) is None
    with pytest.raises(DamagedPackage, match="absent"):
        site.cache.seal(package)


def test_extraction_without_a_seal_is_sealed_by_the_next_build(site, package):
    for path in site.cache.sealed.iterdir():
        path.unlink()
    site.cache = PackageCache(site.cache.root)
    assert site.cache.seal_of(package) is None
    site.install("second")
    assert PackageCache(site.cache.root).seal_of(package)


def test_unreadable_seal_counts_as_none(site, package):
    [path] = site.cache.sealed.glob("*.json")
    path.write_text("{half")
    assert PackageCache(site.cache.root).seal_of(package) is None


@pytest.mark.parametrize("is_new_process", [True, False])
def test_missing_file_is_found_while_linking_and_fetched_again(site, package, is_new_process):
    (site.cache.directory(package) / "share/one").unlink()
    if is_new_process:
        site.cache = PackageCache(site.cache.root)
    site.install("second")
    assert (site.store / "second/share/one").read_text() == "one"
    assert "trying once more" in site.reporter.text


def test_missing_top_level_file_is_found_before_linking(site):
    package = site.add("flat", files={"one": "1", "two": "2"})
    site.install("first")
    (site.cache.directory(package) / "one").unlink()
    assert site.cache.seal_of(package) is None
    site.install("second")
    assert (site.store / "second/one").read_text() == "1"


def test_package_with_another_hash_is_sealed_anew(site, package):
    site.packages = []
    changed = site.add("thing", files={"share/one": "one, changed"})
    assert changed.url == package.url
    assert site.cache.seal_of(changed) is None
    site.install("second")
    assert (site.store / "second/share/one").read_text() == "one, changed"
    assert (site.store / "first/share/one").read_text() == "one"
    assert site.cache.seal_of(changed).files == 1


def test_check_finds_changed_content_and_drops_the_package(site, package):
    assert [is_sound for _, is_sound in site.cache.check()] == [True]
    linked = site.store / "first/share/one"
    linked.chmod(0o644)
    linked.write_text("changed in place")
    assert [is_sound for _, is_sound in site.cache.check(repair=False)] == [False]
    assert [is_sound for _, is_sound in site.cache.check()] == [False]
    site.install("second")
    assert (site.store / "second/share/one").read_text() == "one"


class KilledBeforeItForgets(PackageCache):
    def _forget(self, key):
        raise KeyboardInterrupt


@pytest.mark.parametrize("way", ["check", "drop", "prune"])
def test_no_package_without_a_seal_is_left_by_one_who_was_killed(site, package, way):
    """It would count as extracted just now, and be sealed as it is."""
    linked = site.store / "first/share/one"
    linked.chmod(0o644)
    linked.write_text("changed in place")
    shutil.rmtree(site.store)
    cache = KilledBeforeItForgets(site.cache.root)
    with pytest.raises(KeyboardInterrupt):
        {"check": lambda: list(cache.check()), "drop": lambda: cache.drop(package), "prune": lambda: cache.prune(-1)}[
            way
        ]()
    site.install("second")
    assert (site.store / "second/share/one").read_text() == "one"


def test_check_finds_files_that_became_writable(site, package):
    (site.store / "first/share/one").chmod(0o644)
    assert [is_sound for _, is_sound in site.cache.check()] == [False]


def test_dropping_leaves_environments_alone(site, package):
    site.cache.drop(package)
    assert site.cache.seal_of(package) is None
    assert (site.store / "first/share/one").read_text() == "one"
    assert len(list(site.cache.trash.iterdir())) == 1


def test_tidy_sets_aside_what_transactions_left_that_were_killed(site, package):
    left = site.cache.incoming / "left"
    running = site.cache.open_incoming()
    for directory in (left, running.path):
        (directory / f".{site.cache.directory(package).name}abc123/share").mkdir(parents=True)
    assert site.cache.tidy() == 1
    assert list(site.cache.incoming.iterdir()) == [running.path]
    running.close()
    assert site.cache.tidy() == 0
    assert list(site.cache.incoming.iterdir()) == []
    assert site.cache.seal_of(package)


def test_tidy_sets_aside_repodata_that_was_half_downloaded(site):
    old = time.time() - 2 * 3600
    left = [site.cache.repodata / path for path in (".tmpA", "0123/.tmpB")]
    kept = [site.cache.repodata / path for path in ("0123abcd.json", ".tmpRuns", "shards-v1/0123.msgpack")]
    for path in left + kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
        if path.name != ".tmpRuns":
            os.utime(path, (old, old))
    assert site.cache.tidy() == 2
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


def test_tidy_sets_aside_what_uv_left_when_it_was_killed(site):
    old = time.time() - 2 * 86400
    left = [site.cache.uv / path for path in ("builds-v0/.tmpA", "0123/builds-v0/.tmpB", ".tmpC")]
    kept = [site.cache.uv / path for path in ("builds-v0/.tmpRuns", "archive-v0/used/package")]
    for directory in left + kept:
        directory.mkdir(parents=True)
    for directory in [*left, kept[1]]:
        os.utime(directory, (old, old))
    assert site.cache.tidy() == 3
    assert [path.exists() for path in left + kept] == [False] * 3 + [True] * 2


def test_builder_tidies_and_drops_what_was_changed(site, package, run_async):
    (site.store / "first/share/one").chmod(0o644)
    (site.cache.incoming / "left").mkdir()
    builder = RattlerBuilder(site.cache.root)

    async def work():
        assert await builder.tidy() > 0
        await builder.close()

    run_async(work())
    assert PackageCache(site.cache.root).seal_of(package) is None
    assert not site.cache.directory(package).exists()
    assert list(site.cache.incoming.iterdir()) == []
    assert list(site.cache.trash.iterdir()) == []
    assert (site.store / "first/share/one").read_text() == "one"


def test_tidy_sets_aside_old_temporary_files(site, package):
    old, new = site.cache.sealed / ".old.json", site.cache.sealed / ".new.json"
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (0, 0))
    assert site.cache.tidy() == 1
    assert new.exists()


DAY = 86400.0


def unused_for(site, seconds):
    for path in site.cache.sealed.iterdir():
        moment = time.time() - seconds
        os.utime(path, (moment, moment))


def test_packages_that_nobody_has_or_asks_for_are_pruned(site, package):
    unused_for(site, 2 * DAY)
    assert site.cache.prune(DAY) == 0, "an environment has it"
    shutil.rmtree(site.store / "first")
    assert site.cache.prune(3 * DAY) == 0, "it was used not long ago"
    assert PackageCache(site.cache.root).seal_of(package), "a build asks for it"
    assert site.cache.prune(DAY) == 0
    unused_for(site, 2 * DAY)
    assert site.cache.prune(DAY) == 1
    assert site.cache.seal_of(package) is None
    assert not site.cache.directory(package).exists()
    site.install("second")
    assert (site.store / "second/share/one").read_text() == "one"


def test_what_was_compiled_of_a_pruned_package_goes_along(site, package):
    seal = site.cache.seal_of(package)
    compiled = site.cache.pyc / "cpython-3.13" / f"{seal.directory}-{seal.inode}"
    compiled.mkdir(parents=True)
    shutil.rmtree(site.store / "first")
    unused_for(site, 2 * DAY)
    assert site.cache.prune(DAY) == 1
    assert not compiled.exists()
