"""Channels that fail in every way: a clear error, nothing half built, and the next build is fine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conda_store.builder.options import BuilderOptions
from conda_store.errors import PackageCorrupt, PackageNotFound, PackageUnavailable
from tools.channel.serve import ChannelServer, Fault


@pytest.fixture
def served(site):
    for name in ("first", "second", "third"):
        site.add(name, files={f"share/{name}": name * 20_000})
    with ChannelServer(site.channel) as server:
        site.serve_from(server.url)
        yield server


FAULTS = [
    (Fault(status=500), PackageUnavailable, "500"),
    (Fault(status=429), PackageUnavailable, "429"),
    (Fault(status=404), PackageNotFound, "no longer has this file"),
    (Fault(status=403), PackageNotFound, "credentials"),
    (Fault(corrupt=700), PackageCorrupt, "is corrupt"),
    (Fault(corrupt=-3), PackageCorrupt, "is corrupt"),
    (Fault(truncate=300), PackageUnavailable, "end of file before"),
    (Fault(body=b"PK\x03\x04"), PackageCorrupt, "is corrupt"),
    (Fault(body=b"<html>please log in</html>"), PackageCorrupt, "is corrupt"),
]


@pytest.mark.parametrize(("fault", "error", "words"), FAULTS)
def test_faults_end_clearly_and_leave_nothing(site, served, fault, error, words):
    served.faults["*second*.conda"] = fault
    with pytest.raises(error, match=words) as caught:
        site.install()
    assert "second-1.0-0.conda" in caught.value.message
    assert served.url in caught.value.message
    # what is corrupt twice, or refused, stays so; what cannot be reached may be back soon
    assert caught.value.transient == (error is PackageUnavailable)
    assert caught.value.hint
    assert site.is_clean()

    served.faults.clear()
    site.install()
    assert (site.store / "environment/share/second").exists()


@pytest.mark.parametrize("name", ["bzip2", "corrupt-fonts"])
def test_the_name_of_a_package_is_no_reason(site, name):
    site.add(name, files={f"share/{name}": "text"})
    with ChannelServer(site.channel) as server:
        site.serve_from(server.url)
        server.faults["*.conda"] = Fault(status=500)
        with pytest.raises(PackageUnavailable) as caught:
            site.install()
    assert f"{name}-1.0-0.conda" in caught.value.message


@pytest.mark.parametrize(
    "fault", [Fault(status=503, times=1), Fault(corrupt=700, times=3), Fault(truncate=300, times=1)]
)
def test_what_passes_by_does_not_fail_the_build(site, served, fault):
    served.faults["*second*.conda"] = fault
    site.install()
    assert (site.store / "environment/share/second").exists()


def test_bytes_that_hash_otherwise_are_refused(site, served):
    site.packages[1] = replace(site.packages[1], sha256="0" * 64, md5=None)
    with pytest.raises(PackageCorrupt, match=r"second-1\.0-0\.conda .*hash mismatch"):
        site.install()
    assert site.is_clean()


def test_server_that_hangs_is_given_up(site, served):
    served.faults["*second*.conda"] = Fault(hang=True)
    site.options = BuilderOptions(stall_timeout=2)
    with pytest.raises(PackageUnavailable, match=r"second-1\.0-0\.conda from .* stalled: nothing arrived for 2 s"):
        site.install()
    assert site.is_clean()


def test_credentials_are_in_no_message(site, served):
    secret = served.url.replace("http://", "http://user:pa55word@") + "/t/tok3n"
    site.packages = [
        replace(package, url=f"{secret}/noarch/{package.file_name}", channel=secret) for package in site.packages
    ]
    with pytest.raises(PackageUnavailable) as caught:
        site.install()
    everything = f"{caught.value}{site.reporter.text}"
    assert "first-1.0-0.conda" in everything or "second" in everything or "third" in everything
    assert "pa55word" not in everything
    assert "tok3n" not in everything


def test_each_package_is_fetched_once(site, served):
    site.install("one")
    site.install("two")
    assert served.count("*.conda") == 3


def test_offline_takes_what_is_cached_and_names_what_is_not(site, served):
    site.install("one")
    site.options = replace(site.options, is_offline=True)
    site.install("two")
    site.add("fourth", files={"share/fourth": "x"})
    site.serve_from(served.url)
    with pytest.raises(PackageNotFound, match=r"fourth-1\.0-0\.conda is not in the package cache"):
        site.install("three")
    assert served.count("*.conda") == 3


def test_missing_local_package(site):
    package = site.add("gone", files={"a": "a"})
    (site.channel / "noarch" / package.file_name).unlink()
    with pytest.raises(PackageNotFound, match=r"gone-1\.0-0\.conda cannot be downloaded"):
        site.install()
    assert site.is_clean()
