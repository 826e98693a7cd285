"""From channels to the index: in a child process, over HTTP, with faults, by several at once."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conda_store.builder.package_index import IndexOptions, PackageIndex, PackageQuery
from conda_store.builder.package_index.layout import Layout
from conda_store.errors import ChannelUnavailable, Unavailable
from tools.channel.serve import ChannelServer, Fault
from tools.channel.tiny import index as index_channel
from tools.channel.tiny import write_package

from .conftest import refresh_here, write_repodata

MakeChannel = Callable[..., str]


def names(index: PackageIndex) -> list[str]:
    return [row.name for row in index.search(PackageQuery(distinct_on=("name",))).rows]


def test_nothing_is_indexed_at_first(index: PackageIndex) -> None:
    assert index.channels() == []
    assert index.search(PackageQuery(search="py")).count == 0


def test_a_child_process_indexes_real_packages(tmp_path: Path, index: PackageIndex) -> None:
    channel = tmp_path / "channel"
    write_package(channel, "tiny-lib", "1.10", license="BSD-3-Clause")
    write_package(channel, "tiny-lib", "1.9", subdir="linux-64")
    write_package(channel, "tiny-app", "1.0", subdir="win-64")
    index_channel(channel)
    (channel / "channeldata.json").write_text(json.dumps({"packages": {"tiny-lib": {"summary": "A tiny library"}}}))
    indexed = asyncio.run(index.refresh([channel.as_uri()], ["linux-64", "osx-64"]))
    assert [(each.url, each.subdir, each.records, each.unreadable) for each in indexed] == [
        (channel.as_uri(), "linux-64", 1, 0),
        (channel.as_uri(), "noarch", 1, 0),
    ]
    assert indexed == index.channels()
    rows = index.search(PackageQuery(search="tiny")).rows
    assert [(row.name, row.version, row.license, row.summary) for row in rows] == [
        ("tiny-lib", "1.9", None, "A tiny library"),
        ("tiny-lib", "1.10", "BSD-3-Clause", "A tiny library"),
    ]


def test_what_did_not_change_is_left_alone(tmp_path: Path, index: PackageIndex, channel: MakeChannel) -> None:
    url = channel("channel", [("one", "1.0", "0")])
    refresh_here(tmp_path / "index", [url])
    before = Layout(tmp_path / "index").catalog.stat()
    first = index.channels()
    refresh_here(tmp_path / "index", [url])
    assert Layout(tmp_path / "index").catalog.stat() == before
    assert index.channels() == first


def test_a_change_replaces_the_catalog_for_searches_that_follow(
    tmp_path: Path, index: PackageIndex, channel: MakeChannel
) -> None:
    refresh_here(tmp_path / "index", [channel("channel", [("one", "1.0", "0")])])
    assert names(index) == ["one"]
    refresh_here(tmp_path / "index", [channel("channel", [("one", "1.0", "0"), ("two", "1.0", "0")])])
    assert names(index) == ["one", "two"]


def test_a_subdir_that_is_gone_goes(tmp_path: Path, index: PackageIndex, channel: MakeChannel) -> None:
    url = channel("channel", [("one", "1.0", "0")])
    channel("channel", [("two", "1.0", "0")], subdir="linux-64")
    refresh_here(tmp_path / "index", [url], ["linux-64"])
    assert names(index) == ["one", "two"]
    (tmp_path / "channel/linux-64/repodata.json").unlink()
    assert refresh_here(tmp_path / "index", [url], ["linux-64"]) == []
    assert names(index) == ["one"]


def test_channels_that_are_not_named_any_more_go(tmp_path: Path, index: PackageIndex, channel: MakeChannel) -> None:
    first, second = channel("first", [("one", "1.0", "0")]), channel("second", [("two", "1.0", "0")])
    refresh_here(tmp_path / "index", [first, second])
    assert names(index) == ["one", "two"]
    refresh_here(tmp_path / "index", [second])
    assert names(index) == ["two"]


def test_a_missing_channel_is_named_and_stops_no_other(
    tmp_path: Path, index: PackageIndex, channel: MakeChannel
) -> None:
    good, missing = channel("good", [("one", "1.0", "0")]), (tmp_path / "missing").as_uri()
    with pytest.raises(
        ChannelUnavailable, match=r"/missing cannot be indexed: it has no repodata for linux-64, noarch"
    ):
        asyncio.run(index.refresh([missing, good], ["linux-64"]))
    assert names(index) == ["one"]


@pytest.mark.parametrize("damage", [b"", b"garbage", b'{"packages": {"one-1.0-0.conda": {', b"[]", b"\x00" * 100])
def test_damaged_repodata_leaves_the_old_index(
    tmp_path: Path, index: PackageIndex, channel: MakeChannel, damage: bytes
) -> None:
    url = channel("channel", [("one", "1.0", "0")])
    other = channel("other", [("two", "1.0", "0")])
    refresh_here(tmp_path / "index", [url, other])
    (tmp_path / "channel/noarch/repodata.json").write_bytes(damage)
    channel("other", [("three", "1.0", "0")])
    (failure,) = refresh_here(tmp_path / "index", [url, other])
    assert isinstance(failure, ChannelUnavailable)
    assert failure.message.startswith(f"The repodata of {url} for noarch cannot be read: ")
    assert names(index) == ["one", "three"]
    channel("channel", [("four", "1.0", "0")])
    assert refresh_here(tmp_path / "index", [url, other]) == []
    assert names(index) == ["four", "three"]


def test_one_bad_record_costs_one_name(tmp_path: Path, index: PackageIndex, channel: MakeChannel) -> None:
    url = channel("channel", [("bad", "1%210", "0"), ("good", "1.0", "0")])
    refresh_here(tmp_path / "index", [url])
    assert names(index) == ["good"]
    assert [(each.records, each.unreadable) for each in index.channels()] == [(1, 1)]


class TestOverHttp:
    @pytest.fixture
    def server(self, tmp_path: Path):  # type: ignore[no-untyped-def]
        write_package(tmp_path / "served", "tiny", "1.0")
        index_channel(tmp_path / "served")
        with ChannelServer(tmp_path / "served") as server:
            yield server

    def test_an_unchanged_channel_is_asked_but_not_downloaded(
        self, tmp_path: Path, index: PackageIndex, server: ChannelServer
    ) -> None:
        refresh_here(tmp_path / "index", [server.url])
        assert names(index) == ["tiny"]
        seen = len(server.requests)
        before = Layout(tmp_path / "index").catalog.stat()
        refresh_here(tmp_path / "index", [server.url])
        bodies = [request for request in server.requests[seen:] if request.method == "GET" and request.status == 200]
        assert bodies == []
        assert Layout(tmp_path / "index").catalog.stat() == before

    def test_a_new_package_is_found(self, tmp_path: Path, index: PackageIndex, server: ChannelServer) -> None:
        refresh_here(tmp_path / "index", [server.url])
        write_package(tmp_path / "served", "tinier", "1.0")
        index_channel(tmp_path / "served")
        refresh_here(tmp_path / "index", [server.url])
        assert names(index) == ["tinier", "tiny"]

    @pytest.mark.parametrize(
        "fault",
        [Fault(status=500), Fault(truncate=100), Fault(body=b"<html>Please log in</html>"), Fault(hang=True)],
        ids=["500", "truncated", "login page", "hanging"],
    )
    def test_a_fault_leaves_the_old_index(
        self, tmp_path: Path, index: PackageIndex, server: ChannelServer, fault: Fault
    ) -> None:
        refresh_here(tmp_path / "index", [server.url])
        write_package(tmp_path / "served", "tinier", "1.0")
        index_channel(tmp_path / "served")
        server.faults["/noarch/*"] = fault
        options = IndexOptions(fetch_timeout=1.5, retries=0)
        (failure,) = refresh_here(tmp_path / "index", [server.url], options=options)
        assert isinstance(failure, ChannelUnavailable)
        assert f"The repodata of {server.url} for noarch cannot be read" in failure.message
        assert names(index) == ["tiny"]
        server.faults.clear()
        assert refresh_here(tmp_path / "index", [server.url]) == []
        assert names(index) == ["tinier", "tiny"]

    def test_summaries_are_asked_for_again_and_never_a_reason_to_fail(
        self, tmp_path: Path, index: PackageIndex, server: ChannelServer
    ) -> None:
        channeldata = tmp_path / "served/channeldata.json"
        for content, summary in (
            ('{"packages": {"tiny": {"summary": "small"}}}', "small"),
            ('{"packages": {"tiny": {"summary": "little"}}}', "little"),
            ("not json", "little"),
        ):
            channeldata.write_text(content)
            assert refresh_here(tmp_path / "index", [server.url]) == []
            assert [row.summary for row in index.search(PackageQuery()).rows] == [summary]

    def test_credentials_in_a_url_go_nowhere(self, tmp_path: Path, index: PackageIndex, server: ChannelServer) -> None:
        url = server.url.replace("://", "://user:hunter2@") + "/t/sesame/"
        server.faults["*"] = Fault(body=b"garbage")
        (failure,) = refresh_here(tmp_path / "index", [url])
        server.faults.clear()
        assert refresh_here(tmp_path / "index", [url]) == []
        assert [each.url for each in index.channels()] == [server.url]
        kept = [path.read_bytes() for path in (tmp_path / "index").rglob("*") if path.is_file()]
        sent = [f"{request.path} {request.headers}".encode() for request in server.requests]
        assert len(kept) > 3
        for text in (str(failure).encode(), *kept, *sent):
            assert b"hunter2" not in text and b"sesame" not in text and b"Authorization" not in text


class TestSeveralAtOnce:
    def test_searches_go_on_while_the_index_is_replaced(
        self, tmp_path: Path, index: PackageIndex, channel: MakeChannel
    ) -> None:
        """Every answer is that of one catalog: in each, all names have the same version."""
        stems = [f"lib{number}" for number in range(40)]
        url = channel("channel", [(stem, "0", "0") for stem in stems])
        refresh_here(tmp_path / "index", [url])
        stopping, seen, mixed = threading.Event(), set(), []

        def read() -> None:
            while not stopping.is_set():
                page = index.search(PackageQuery(search="lib"))
                versions = {row.version for row in page.rows}
                seen.update(versions)
                if len(versions) != 1 or page.count != len(stems):
                    mixed.append(page)

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        try:
            for round_ in range(1, 16):
                channel("channel", [(stem, str(round_), "0") for stem in stems])
                assert refresh_here(tmp_path / "index", [url]) == []
        finally:
            stopping.set()
            for reader in readers:
                reader.join(timeout=30)
        assert mixed == []
        assert len(seen) > 1
        assert {row.version for row in index.search(PackageQuery()).rows} == {"15"}

    def test_processes_take_turns(self, tmp_path: Path, index: PackageIndex, channel: MakeChannel) -> None:
        urls = [channel(f"channel{number}", [(f"lib{number}", "1.0", "0")]) for number in range(3)]

        async def refresh_all() -> None:
            async with asyncio.timeout(60):
                await asyncio.gather(*(index.refresh(urls, ["linux-64"]) for _ in range(3)))

        asyncio.run(refresh_all())
        assert names(index) == ["lib0", "lib1", "lib2"]

    def test_who_waited_takes_over_what_was_found(
        self, tmp_path: Path, index: PackageIndex, channel: MakeChannel
    ) -> None:
        asked_at = time.time_ns()
        url = channel("channel", [("one", "1.0", "0")])
        refresh_here(tmp_path / "index", [url])
        channel("channel", [("two", "1.0", "0")])
        refresh_here(tmp_path / "index", [url], asked_at=asked_at)
        assert names(index) == ["one"]
        refresh_here(tmp_path / "index", [url])
        assert names(index) == ["two"]

    def test_a_cancelled_refresh_leaves_no_process_and_no_lock(self, tmp_path: Path, index: PackageIndex) -> None:
        write_repodata(tmp_path / "served", [("one", "1.0", "0")])
        with ChannelServer(tmp_path / "served") as server:
            server.faults["*"] = Fault(hang=True)

            async def refresh_and_cancel() -> None:
                task = asyncio.create_task(index.refresh([server.url], []))
                async with asyncio.timeout(30):
                    while not (tmp_path / "index/repodata").exists():  # noqa: ASYNC110 - another process makes it
                        await asyncio.sleep(0.02)
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task

            asyncio.run(refresh_and_cancel())
            server.faults.clear()
            assert refresh_here(tmp_path / "index", [server.url]) == []
        assert names(index) == ["one"]

    def test_a_refresh_that_lasts_too_long_is_given_up(self, tmp_path: Path) -> None:
        write_repodata(tmp_path / "served", [("one", "1.0", "0")])
        options = IndexOptions(timeout=1.0, fetch_timeout=60)
        with ChannelServer(tmp_path / "served") as server, PackageIndex(tmp_path / "index", options=options) as index:
            server.faults["*"] = Fault(hang=True)
            with pytest.raises(Unavailable, match="was not refreshed within 1 s"):
                asyncio.run(index.refresh([server.url], []))


class TestPrivateChannels:
    def test_one_is_read_with_the_credentials_of_the_file(self, tmp_path: Path, index: PackageIndex) -> None:
        write_repodata(tmp_path / "served", [("one", "1.0", "0")])
        keys = tmp_path / 'keys "quoted".json'
        keys.write_text(json.dumps({"127.0.0.1": {"BasicHTTP": {"username": "ada", "password": "pl4nted"}}}))
        header = "Basic " + base64.b64encode(b"ada:pl4nted").decode()
        with ChannelServer(tmp_path / "served", authorization=header) as server:
            (failure,) = refresh_here(tmp_path / "index", [server.url])
            assert "401" in failure.message
            options = IndexOptions(fetch_timeout=20, retries=0, authentication_file=str(keys))
            assert refresh_here(tmp_path / "index", [server.url], options=options) == []
        assert names(index) == ["one"]
        assert not [
            path for path in (tmp_path / "index").rglob("*") if path.is_file() and b"pl4nted" in path.read_bytes()
        ]


class TestDamage:
    def test_a_damaged_catalog_is_an_error_and_made_anew(
        self, tmp_path: Path, index: PackageIndex, channel: MakeChannel
    ) -> None:
        url = channel("channel", [("one", "1.0", "0")])
        refresh_here(tmp_path / "index", [url])
        catalog = Layout(tmp_path / "index").catalog
        staging = catalog.with_suffix(".other")
        staging.write_bytes(b"no database" * 1000)
        staging.replace(catalog)
        with pytest.raises(Unavailable, match="The package index cannot be read"):
            index.search(PackageQuery())
        assert refresh_here(tmp_path / "index", [url]) == []
        assert names(index) == ["one"]

    def test_a_damaged_part_is_made_anew(self, tmp_path: Path, index: PackageIndex, channel: MakeChannel) -> None:
        url = channel("channel", [("one", "1.0", "0")])
        refresh_here(tmp_path / "index", [url])
        (part,) = Layout(tmp_path / "index").parts()
        part.write_bytes(b"\x00" * 5000)
        assert refresh_here(tmp_path / "index", [url]) == []
        assert names(index) == ["one"]

    def test_what_a_killed_process_left_is_removed(
        self, tmp_path: Path, index: PackageIndex, channel: MakeChannel
    ) -> None:
        url = channel("channel", [("one", "1.0", "0")])
        (tmp_path / "index").mkdir()
        (tmp_path / "index/catalog-1.sqlite.new").write_bytes(b"half")
        download = tmp_path / "index/repodata/0123/.tmpA"
        download.parent.mkdir(parents=True)
        download.write_bytes(b"half")
        refresh_here(tmp_path / "index", [url])
        assert not download.exists()
        assert names(index) == ["one"]
        assert not [path for path in (tmp_path / "index").iterdir() if "new" in path.name]
