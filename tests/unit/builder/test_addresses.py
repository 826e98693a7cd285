"""The service is not sent to its neighbours: not by a channel's name, not by a redirect, lock or pip part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from conda_store.builder.head_requests import head
from conda_store.builder.pip_install import requirement_line
from conda_store.builder.ports import Access
from conda_store.domain.addresses import AddressPolicy
from conda_store.domain.lock import PyPIPackage
from conda_store.domain.package_policy import PackagePolicy
from conda_store.errors import AddressRefused
from tests.serving import serving
from tests.unit.builder.conftest import Bench, run
from tools.channel.serve import ChannelServer

CLOSED, NAMED = AddressPolicy(()), AddressPolicy(("localhost",))


@contextmanager
def redirecting_to(target: str) -> Iterator[int]:
    """A server that sends everybody on; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as port:
        yield port


def test_a_neighbour_is_not_asked(served: tuple[Path, ChannelServer]) -> None:
    _, server = served
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1 lies inside"):
        run(head(f"{server.url}/main/noarch/repodata.json", limit=5, addresses=CLOSED))
    assert server.requests == []
    allowed = AddressPolicy(("127.0.0.0/8",))
    assert run(head(f"{server.url}/main/noarch/repodata.json", limit=5, addresses=allowed)).status == 200


def test_nobody_is_sent_on_to_a_neighbour(served: tuple[Path, ChannelServer]) -> None:
    _, server = served
    with redirecting_to(f"{server.url}/main/noarch/repodata.json") as port:
        url = f"http://localhost:{port}/"
        with pytest.raises(AddressRefused):
            run(head(url, limit=5, addresses=NAMED))
        assert server.requests == []
        assert run(head(url, limit=5)).status == 200


def test_a_channel_inside_is_refused_before_anything_is_read(
    served: tuple[Path, ChannelServer], tmp_path: Path
) -> None:
    _, server = served
    bench = Bench(tmp_path / "cache", server.url, addresses=CLOSED)
    with pytest.raises(AddressRefused):
        bench.solve("tool")
    assert server.requests == []


def test_locks_and_pip_parts_are_checked_too(
    served: tuple[Path, ChannelServer], channels: Path, tmp_path: Path
) -> None:
    _, server = served
    lock = Bench(tmp_path / "open", server.url).solve("tool")
    asked = len(server.requests)
    closed = Bench(tmp_path / "closed", channels.as_uri(), addresses=AddressPolicy((str(channels),)))
    with pytest.raises(AddressRefused):
        run(closed.builder.refusals(lock, PackagePolicy(), closed.alias, Access()))
    for line in (f"tool @ {server.url}/tool-1.0.tar.gz", f"tool @ git+{server.url}/tool"):
        with pytest.raises(AddressRefused):
            closed.solve("python=3.11", pip=[line])
    with pytest.raises(AddressRefused):
        closed.solve("python=3.11", pip=[f"--index-url {server.url}/simple", "tool"])
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    "line",
    [
        "tool @ file:///etc/hostname", "tool @ file:/etc/hostname", "tool @ /etc/hostname", "tool @ git+file:///srv/private",
        "tool @ file://localhost/etc/hostname", "--index-url file:///etc", "--extra-index-url=/etc",
    ],
)  # fmt: skip
def test_what_lies_on_the_machine_is_not_read(channels: Path, tmp_path: Path, line: str) -> None:
    bench = Bench(tmp_path / "cache", channels.as_uri(), addresses=AddressPolicy((str(channels),)))
    bench.solve("python=3.11")
    with pytest.raises(AddressRefused, match="of the service's machine"):
        bench.solve("python=3.11", pip=[line, "other"])


def test_directories_are_no_channels_unless_the_operator_names_them(channels: Path, tmp_path: Path) -> None:
    lock = Bench(tmp_path / "open", channels.as_uri()).solve("python=3.11")
    (tmp_path / "way").symlink_to(channels)
    for alias in (channels.as_uri(), f"file://{tmp_path}/way", f"file://{channels}/main/../"):
        closed = Bench(tmp_path / "closed", alias, addresses=CLOSED)
        with pytest.raises(AddressRefused, match="of the service's machine"):
            closed.solve("python=3.11")
    with pytest.raises(AddressRefused, match="of the service's machine"):
        run(closed.builder.refusals(lock, PackagePolicy(), closed.alias, Access()))
    beside = Bench(tmp_path / "beside", channels.as_uri(), addresses=AddressPolicy((f"{channels}-other",)))
    with pytest.raises(AddressRefused):
        beside.solve("python=3.11")


def test_variables_of_the_service_are_not_written_into_urls(bench: Bench) -> None:
    request = bench.request("python", pip=["tool @ https://there.example/${HTTPS_PROXY}/tool-1-py3-none-any.whl"])
    (problem,) = bench.builder.problems(request.specification)
    assert "${" in problem.message
    package = PyPIPackage("tool", "1", "https://there.example/${HTTPS_PROXY}/tool-1-py3-none-any.whl", ())
    assert "${" not in requirement_line(package)
