import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from conda_store.client.downloading import download
from conda_store.errors import ServerError

BYTES = bytes(range(256)) * 40


class Broken(httpx.SyncByteStream):
    """Some bytes, and then the connection breaks."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


def headers(length: int, etag: str = '"e1"') -> dict[str, str]:
    return {"content-length": str(length), "etag": etag}


def leftovers(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_appears_when_it_is_complete(converse: Callable, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    seen: list[tuple[int, int | None]] = []
    talk = converse(lambda request: httpx.Response(200, content=BYTES))
    download(talk.transport, "/x", target, on_progress=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == BYTES
    assert seen[0] == (0, len(BYTES))
    assert seen[-1] == (len(BYTES), len(BYTES))
    assert leftovers(tmp_path) == ["file"]
    assert talk.requests[0].headers["accept-encoding"] == "identity"


def test_the_file_is_as_readable_as_any_other(converse: Callable, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    download(converse(lambda request: httpx.Response(200, content=b"x")).transport, "/x", tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_after_a_break_only_the_rest_is_asked_for(converse: Callable, tmp_path: Path) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if (wanted := request.headers.get("range")) is None:
            return httpx.Response(200, headers=headers(len(BYTES)), stream=Broken(BYTES[:1000]))
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        rest = BYTES[start:]
        content_range = {"content-range": f"bytes {start}-{len(BYTES) - 1}/{len(BYTES)}"}
        return httpx.Response(206, headers=headers(len(rest)) | content_range, content=rest)

    talk = converse(handler)
    seen: list[tuple[int, int | None]] = []
    download(talk.transport, "/x", tmp_path / "file", on_progress=lambda done, total: seen.append((done, total)))
    assert (tmp_path / "file").read_bytes() == BYTES
    assert talk.requests[1].headers["range"] == "bytes=1000-"
    assert talk.requests[1].headers["if-range"] == '"e1"'
    assert seen[-1] == (len(BYTES), len(BYTES))


def test_a_file_that_changed_meanwhile_is_taken_from_its_beginning(converse: Callable, tmp_path: Path) -> None:
    answers = iter(
        [
            httpx.Response(200, headers=headers(len(BYTES)), stream=Broken(b"old" * 100)),
            httpx.Response(200, headers=headers(len(BYTES), '"e2"'), content=BYTES),
        ]
    )
    download(converse(lambda request: next(answers)).transport, "/x", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BYTES


def test_without_a_strong_etag_it_begins_anew(converse: Callable, tmp_path: Path) -> None:
    answers = iter(
        [
            httpx.Response(200, headers=headers(len(BYTES), 'W/"e1"'), stream=Broken(BYTES[:1000])),
            httpx.Response(200, content=BYTES),
        ]
    )
    talk = converse(lambda request: next(answers))
    download(talk.transport, "/x", tmp_path / "file")
    assert "range" not in talk.requests[1].headers
    assert (tmp_path / "file").read_bytes() == BYTES


def test_a_range_that_cannot_be_had_begins_anew(converse: Callable, tmp_path: Path) -> None:
    answers = iter(
        [
            httpx.Response(200, headers=headers(len(BYTES)), stream=Broken(BYTES[:1000])),
            httpx.Response(416),
            httpx.Response(200, content=BYTES),
        ]
    )
    download(converse(lambda request: next(answers)).transport, "/x", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BYTES


def test_breaks_without_an_end_leave_nothing(converse: Callable, tmp_path: Path) -> None:
    talk = converse(lambda request: httpx.Response(200, headers={"content-length": "9"}, stream=Broken(b"")))
    with pytest.raises(ServerError, match="broke"):
        download(talk.transport, "/x", tmp_path / "file")
    assert leftovers(tmp_path) == []
    assert len(talk.requests) == 4


def test_what_is_being_made_is_waited_for(converse: Callable, tmp_path: Path) -> None:
    answers = iter(
        [
            httpx.Response(503, headers={"retry-after": "3"}, json={"message": "in the making"}),
            httpx.Response(202, json={"status": "ok"}),
            httpx.Response(200, content=b"made"),
        ]
    )
    talk = converse(lambda request: next(answers))
    download(talk.transport, "/x", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"made"
    assert talk.pauses == [3.0, 2.0]


def test_what_is_never_made_is_given_up(converse: Callable, tmp_path: Path) -> None:
    making = {"message": "the archive of build 7 is still being made"}
    talk = converse(lambda request: httpx.Response(503, headers={"retry-after": "5"}, json=making))
    with pytest.raises(ServerError, match="still being made"):
        download(talk.transport, "/x", tmp_path / "file", longest_wait=20, clock=lambda: sum(talk.pauses))
    assert sum(talk.pauses) == 20
    assert leftovers(tmp_path) == []


def test_a_server_that_is_silent_while_it_makes_the_artifact_is_asked_again(converse: Callable, tmp_path: Path) -> None:
    asked: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(1)
        if len(asked) < 9:
            raise httpx.ReadTimeout("", request=request)
        return httpx.Response(200, content=b"made")

    download(converse(handler).transport, "/x", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"made"


def test_a_download_that_stalls_is_gone_on_with_and_then_given_up(converse: Callable, tmp_path: Path) -> None:
    class Stalled(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield BYTES[:10]
            raise httpx.ReadTimeout("")

    def handler(request: httpx.Request) -> httpx.Response:
        if "range" in request.headers:
            raise httpx.ReadTimeout("", request=request)
        return httpx.Response(200, headers=headers(len(BYTES)), stream=Stalled())

    talk = converse(handler)
    with pytest.raises(ServerError, match="did not answer in time"):
        download(talk.transport, "/x", tmp_path / "file")
    assert len(talk.requests) == 4


def test_a_refusal_is_told(converse: Callable, tmp_path: Path) -> None:
    talk = converse(lambda request: httpx.Response(404, json={"message": "build 7 has no archive"}))
    with pytest.raises(ServerError, match="build 7 has no archive"):
        download(talk.transport, "/x", tmp_path / "file")
    assert len(talk.requests) == 1


def test_a_directory_that_is_not_there_is_named(converse: Callable, tmp_path: Path) -> None:
    talk = converse(lambda request: httpx.Response(200, content=b"x"))
    with pytest.raises(OSError, match="No such file") as raised:
        download(talk.transport, "/x", tmp_path / "absent" / "file")
    assert raised.value.errno == errno.ENOENT
    assert raised.value.filename == str(tmp_path / "absent" / "file")
