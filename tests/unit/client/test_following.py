import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from conda_store.client.following import BuildEnded, LogWritten, ProgressMade, follow
from conda_store.client.server_sent import EventParser, ServerSentEvent
from conda_store.domain.build import BuildStatus, Phase
from conda_store.errors import ServerError

STREAM = (
    b": hello\n\n"
    b'event: log\r\nid: 1\r\ndata: {"text": "a\xe2\x80\xa8b\\n"}\r\n\r\n'
    b"event: twice\ndata: 1\ndata:2\n\n"
    b"event: nothing\n\n"
    b"retry: 1500\n\n"
    b"data: last\r\r"
)
EVENTS = [
    ServerSentEvent("log", '{"text": "a\u2028b\\n"}', "1"),
    ServerSentEvent("twice", "1\n2", "1"),
    ServerSentEvent("message", "last", "1"),
]


def test_events_are_read_whole() -> None:
    parser = EventParser()
    # the last carriage return may be half of a line end, so more has to come
    assert [*parser.feed(STREAM), *parser.feed(b"\n")] == EVENTS
    assert parser.retry == 1.5


@pytest.mark.parametrize("size", range(1, 8))
def test_events_are_read_however_the_bytes_are_cut(size: int) -> None:
    parser = EventParser()
    stream = STREAM + b"\n"
    pieces = (stream[start : start + size] for start in range(0, len(stream), size))
    assert [event for piece in pieces for event in parser.feed(piece)] == EVENTS


class Broken(httpx.SyncByteStream):
    """Some bytes, and then the connection breaks."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.ReadError("connection reset")


def sent(kind: str, data: object, id: str = "") -> bytes:
    lines = [f"event: {kind}", f"data: {json.dumps(data)}", *([f"id: {id}"] if id else [])]
    return ("\n".join(lines) + "\n\n").encode()


PROGRESS = {"status": "BUILDING", "phase": "downloading", "packages_done": 1, "packages_total": 4, "bytes_total": 9}


def test_a_build_is_followed_to_its_end(converse: Callable) -> None:
    body = (
        sent("progress", PROGRESS)
        + sent("log", {"text": "x\n"}, "1")
        + sent("news", {})
        + sent("end", {"status": "FAILED", "status_info": "no"})
    )
    talk = converse(lambda request: httpx.Response(200, content=body))
    progress, log, end = follow(talk.transport, 7)
    assert isinstance(progress, ProgressMade)
    assert progress.progress.phase is Phase.DOWNLOADING
    assert (progress.progress.packages_done, progress.progress.bytes_done) == (1, 0)
    assert log == LogWritten("x\n", "1")
    assert end == BuildEnded(BuildStatus.FAILED, "no")
    assert talk.requests[0].url.path == "/prefix/api/v1/build/7/events/"
    assert talk.requests[0].headers["accept"] == "text/event-stream"


def test_logs_can_be_left_out(converse: Callable) -> None:
    talk = converse(lambda request: httpx.Response(200, content=sent("end", {"status": "COMPLETED"})))
    list(follow(talk.transport, 7, logs=False))
    assert talk.requests[0].url.params["logs"] == "false"


def test_after_an_interruption_it_goes_on_where_it_was(converse: Callable) -> None:
    answers = iter(
        [
            httpx.Response(200, stream=Broken(sent("log", {"text": "1\n"}, "1") + b"event: log\nid: 2\nda")),
            httpx.Response(502),
            httpx.Response(200, content=sent("log", {"text": "2\n"}, "2")),
            httpx.Response(200, content=sent("end", {"status": "COMPLETED"})),
        ]
    )
    talk = converse(lambda request: next(answers))
    events = list(follow(talk.transport, 7))
    assert [event.text for event in events if isinstance(event, LogWritten)] == ["1\n", "2\n"]
    assert events[-1] == BuildEnded(BuildStatus.COMPLETED)
    assert [request.headers.get("last-event-id") for request in talk.requests] == [None, "1", "1", "2"]


def test_a_server_that_stays_away_is_given_up(converse: Callable) -> None:
    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    talk = converse(refused)
    with pytest.raises(ServerError, match="no conda-store can be reached"):
        list(follow(talk.transport, 7))
    assert len(talk.requests) == 11


def test_a_stream_that_only_breaks_off_is_given_up(converse: Callable) -> None:
    talk = converse(lambda request: httpx.Response(200, content=b": nothing\n\n"))
    with pytest.raises(ServerError, match="break off"):
        list(follow(talk.transport, 7))


def test_a_refusal_is_final(converse: Callable) -> None:
    talk = converse(lambda request: httpx.Response(404, json={"message": "build id does not exist"}))
    with pytest.raises(ServerError, match="build id does not exist"):
        list(follow(talk.transport, 7))
    assert len(talk.requests) == 1


@pytest.mark.parametrize("body", [b"event: end\ndata: {\n\n", sent("end", {}), sent("progress", {"phase": "x"})])
def test_events_that_cannot_be_read_are_said(converse: Callable, body: bytes) -> None:
    talk = converse(lambda request: httpx.Response(200, content=body))
    with pytest.raises(ServerError, match="cannot be read"):
        list(follow(talk.transport, 7))
