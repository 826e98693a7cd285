"""What the state of a channel is made of, and what becomes of one that does not answer."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from conda_store.builder.channels import FILES
from conda_store.domain.package_policy import PackagePolicy
from conda_store.errors import ChannelNotFound, ChannelUnavailable
from tests.unit.builder.conftest import Bench, run
from tools.channel.serve import ChannelServer, Fault
from tools.channel.tiny import index, write_package

Served = tuple[Path, ChannelServer]


def test_a_state_stays_equal_until_the_channel_changes(served: Served, tmp_path: Path) -> None:
    channel, server = served
    bench = Bench(tmp_path / "cache", server.url)
    first = bench.state("tool")
    assert bench.state("tool") == first
    assert bench.versions("tool") == {"tool": "1.0"}
    write_package(channel, "tool", "2.0")
    index(channel)
    assert bench.state("tool") != first
    assert bench.versions("tool") == {"tool": "2.0"}


def test_a_builder_with_the_same_cache_sees_the_change_too(served: Served, tmp_path: Path) -> None:
    channel, server = served
    assert Bench(tmp_path / "cache", server.url).versions("tool") == {"tool": "1.0"}
    write_package(channel, "tool", "2.0")
    index(channel)
    assert Bench(tmp_path / "cache", server.url).versions("tool") == {"tool": "2.0"}


def test_a_channel_on_disk_changes_too(served: Served, tmp_path: Path) -> None:
    channel, _ = served
    bench = Bench(tmp_path / "cache", channel.parent.as_uri())
    first = bench.state("tool")
    assert bench.versions("tool") == {"tool": "1.0"}
    write_package(channel, "tool", "2.0")
    index(channel)
    assert bench.state("tool") != first
    assert bench.versions("tool") == {"tool": "2.0"}


def test_the_state_is_remembered_for_the_interval(served: Served, tmp_path: Path) -> None:
    _, server = served
    bench = Bench(tmp_path / "cache", server.url, repodata_check_interval=3600.0)

    async def several() -> set[str]:
        request = bench.request("tool")
        together = await asyncio.gather(*(bench.builder.channel_state(request) for _ in range(10)))
        return {*together, await bench.builder.channel_state(request)}

    assert len(run(several())) == 1
    assert server.count("/main/noarch/*") == 1


def test_the_state_depends_on_channels_in_order_and_on_overrides(bench: Bench) -> None:
    states = [
        bench.state("numpy", channels=("main", "extra")),
        bench.state("numpy", channels=("extra", "main")),
        bench.state("numpy", channels=("main",)),
        bench.state("numpy", channels=("main",), variables={"CONDA_OVERRIDE_CUDA": "12"}),
        bench.state("numpy", channels=("main",), platforms=("linux-64", "osx-arm64")),
    ]
    assert len(set(states)) == 5
    assert bench.state("pure", channels=("main",)) == states[2]


@pytest.mark.parametrize("kept", [FILES, FILES[1:], FILES[2:]])
def test_any_form_of_repodata_is_found(served: Served, tmp_path: Path, kept: tuple[str, ...]) -> None:
    channel, server = served
    for file in set(FILES) - set(kept):
        (channel / "noarch" / file).unlink()
    assert Bench(tmp_path / "cache", server.url).versions("tool") == {"tool": "1.0"}


def test_without_etags_shards_are_left_alone(served: Served, tmp_path: Path) -> None:
    channel, server = served
    server.faults["*"] = Fault(no_etag=True)
    bench = Bench(tmp_path / "cache", server.url)
    assert bench.versions("tool") == {"tool": "1.0"}
    assert not any(request.method == "GET" and "shards" in request.path for request in server.requests)
    write_package(channel, "tool", "2.0")
    index(channel)
    assert bench.versions("tool") == {"tool": "2.0"}


def test_with_etags_shards_are_used(served: Served, tmp_path: Path) -> None:
    _, server = served
    Bench(tmp_path / "cache", server.url).versions("tool")
    assert any(request.method == "GET" and "shards" in request.path for request in server.requests)
    assert not any(
        request.method == "GET" and request.path.endswith("repodata.json.zst") for request in server.requests
    )


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_an_error_of_the_server_passes(served: Served, tmp_path: Path, status: int) -> None:
    _, server = served
    server.faults["*"] = Fault(status=status)
    bench = Bench(tmp_path / "cache", server.url)
    with pytest.raises(ChannelUnavailable, match=rf"Channel {server.url}/main answered {status}") as caught:
        bench.solve("tool")
    assert caught.value.transient
    del server.faults["*"]
    assert bench.versions("tool") == {"tool": "1.0"}


@pytest.mark.parametrize("status", [401, 403])
def test_a_closed_channel_is_not_tried_again(served: Served, tmp_path: Path, status: int) -> None:
    _, server = served
    server.faults["*"] = Fault(status=status)
    with pytest.raises(ChannelNotFound, match=f"refused .* with status {status}") as caught:
        Bench(tmp_path / "cache", server.url).solve("tool")
    assert not caught.value.transient


def test_a_channel_that_does_not_exist(served: Served, tmp_path: Path) -> None:
    _, server = served
    with pytest.raises(ChannelNotFound, match=rf"Channel {server.url}/defaults does not exist") as raised:
        Bench(tmp_path / "cache", server.url).solve("tool", channels=("defaults",))
    assert "repo.anaconda.com/pkgs/main" in raised.value.hint
    with pytest.raises(ChannelNotFound, match=rf"Channel {server.url}/nowhere does not exist"):
        Bench(tmp_path / "cache", server.url).solve("tool", channels=("nowhere",))


def test_a_channel_needs_noarch(served: Served, tmp_path: Path) -> None:
    channel, server = served
    shutil.move(channel / "noarch", channel / "linux-64")
    with pytest.raises(ChannelNotFound, match=r"has no noarch/repodata\.json"):
        Bench(tmp_path / "cache", server.url).solve("tool")


def test_a_server_that_hangs_is_given_up(served: Served, tmp_path: Path) -> None:
    _, server = served
    server.faults["*"] = Fault(hang=True)
    with pytest.raises(ChannelUnavailable, match=r"did not answer within 0\.3 seconds"):
        Bench(tmp_path / "cache", server.url, channel_check_timeout=0.3).solve("tool")


@pytest.mark.parametrize("policy", [PackagePolicy(), PackagePolicy(conda_forbidden=("other",))], ids=["", "policy"])
@pytest.mark.parametrize("name", ["main", "404-tools"])
def test_repodata_that_never_arrives(served: Served, tmp_path: Path, name: str, policy: PackagePolicy) -> None:
    """Whatever the channel is called, and under policies too."""
    channel, server = served
    channel.rename(channel.with_name(name))
    bench = Bench(tmp_path / "cache", server.url, download_timeout=1.0, repodata_check_interval=3600.0)

    async def solve() -> None:
        request = replace(bench.request("tool", channels=[name], limit=1.0), policy=policy)
        await bench.builder.channel_state(request)
        server.faults["*"] = Fault(hang=True)
        await bench.builder.solve(request, bench.reporter)

    with pytest.raises(ChannelUnavailable) as caught:
        run(solve())
    assert caught.value.transient


def test_nobody_listens(tmp_path: Path, served: Served) -> None:
    _, server = served
    url = server.url.rpartition(":")[0] + ":9"
    with pytest.raises(ChannelUnavailable, match=r"cannot be reached \(connection refused\)") as caught:
        Bench(tmp_path / "cache", url).solve("tool")
    assert caught.value.transient


@pytest.mark.parametrize("body", [b"<html>please log in</html>", b"", b'{"packages": [', b"\x28\xb5\x2f\xfd\x00"])
def test_repodata_that_is_none(served: Served, tmp_path: Path, body: bytes) -> None:
    _, server = served
    server.faults["*repodata*"] = Fault(body=body)
    bench = Bench(tmp_path / "cache", server.url)
    with pytest.raises(ChannelUnavailable, match="repodata cannot be read"):
        bench.solve("tool")
    server.faults.clear()
    assert bench.versions("tool") == {"tool": "1.0"}


def test_repodata_cut_short(served: Served, tmp_path: Path) -> None:
    _, server = served
    server.faults["*repodata*"] = Fault(truncate=20)
    bench = Bench(tmp_path / "cache", server.url)
    with pytest.raises(ChannelUnavailable):
        bench.solve("tool")
    server.faults.clear()
    assert bench.versions("tool") == {"tool": "1.0"}


def test_credentials_reach_the_channel_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "served"
    write_package(root / "main", "tool", "1.0")
    index(root / "main")
    with ChannelServer(root, authorization="Basic YW5uOnNlY3JldA==") as server:
        secret = server.url.replace("//", "//ann:secret@") + "/main"
        bench = Bench(tmp_path / "cache", server.url)
        lock = bench.solve("tool", channels=(secret,))
        assert b"secret" not in lock.dump()
        assert "secret" not in "\n".join(bench.reporter.lines)
        with pytest.raises(ChannelNotFound) as caught:
            bench.solve("tool", channels=(secret.replace("secret", "wrong-word"),))
        assert "wrong-word" not in str(caught.value)


def test_an_authentication_file_opens_a_private_channel(tmp_path: Path) -> None:
    root = tmp_path / "served"
    write_package(root / "main", "tool", "1.0")
    index(root / "main")
    file = tmp_path / "authentication.json"
    file.write_text(json.dumps({"127.0.0.1": {"BearerToken": "abc"}}))
    with ChannelServer(root, authorization="Bearer abc") as server:
        bench = Bench(tmp_path / "cache", server.url, authentication_file=file)
        assert bench.versions("tool") == {"tool": "1.0"}
        with pytest.raises(ChannelNotFound, match="refused"):
            Bench(tmp_path / "other", server.url).solve("tool")


def test_offline_the_cache_answers(served: Served, tmp_path: Path) -> None:
    _, server = served
    assert Bench(tmp_path / "cache", server.url).versions("tool") == {"tool": "1.0"}
    before = len(server.requests)
    assert Bench(tmp_path / "cache", server.url, is_offline=True).versions("tool") == {"tool": "1.0"}
    assert len(server.requests) == before
    with pytest.raises(ChannelUnavailable):
        Bench(tmp_path / "empty", server.url, is_offline=True).solve("tool")
