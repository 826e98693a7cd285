"""Server-sent events, as the HTML standard (section 9.2.6) reads a stream of bytes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerSentEvent:
    """`id` is the last one that the stream named."""

    event: str
    data: str
    id: str


class EventParser:
    """Bytes in, events out.

    `last_id` is the id of the last whole event, `retry` the pause in seconds that the server wishes before a
    reconnection.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry: float | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._pending = ""
        self._id = last_id
        self._event = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> Iterator[ServerSentEvent]:
        for line in self._lines(self._decoder.decode(data)):
            if line:
                self._field(line)
            elif event := self._dispatch():
                yield event

    def _lines(self, text: str) -> list[str]:
        r"""Complete lines only: str.splitlines would also split at \x85 or \u2028, which data may hold."""
        self._pending += text
        # a carriage return at the end may be half of a line end
        held = "\r" if self._pending.endswith("\r") else ""
        whole = self._pending.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = whole.split("\n")
        self._pending = rest + held
        return lines

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isdigit():
            self.retry = int(value) / 1000

    def _dispatch(self) -> ServerSentEvent | None:
        self.last_id = self._id  # only now: an event that was cut off has to come again
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return ServerSentEvent(event, "\n".join(data), self.last_id) if data else None
