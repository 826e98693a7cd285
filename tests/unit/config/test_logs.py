"""What programs write to standard error, and what they do when they cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging
import structlog
from conda_store.config.logs import configure_logging
configure_logging(20)
structlog.get_logger().info("one thing", count=1)
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("another")
logging.getLogger("uvicorn.error").warning("a %s", "third")
print("went on")
"""


def test_one_line_of_json_for_each_event() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=True)
    first, second, third = map(json.loads, ended.stderr.splitlines())
    assert (first["event"], first["count"], first["level"]) == ("one thing", 1, "info")
    assert "ZeroDivisionError" in second["exception"]
    assert (third["event"], third["level"], third["logger"]) == ("a third", "warning", "uvicorn.error")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([sys.executable, "-c", PROGRAM], stdout=-1, stderr=full, text=True, timeout=30)
    assert ended.stdout == "went on\n"


def test_what_others_wrote_does_not_steer_the_terminal() -> None:
    """A path may hold what clears a screen, or looks like a line of its own."""
    program = """
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    import structlog
    from conda_store.config.logs import configure_logging
    configure_logging(20)
    structlog.get_logger().info("request", path="/x\\x1b]0;evil\\x07")
    os._exit(0)
seen = b""
try:
    while piece := os.read(terminal, 4096):
        seen += piece
except OSError:
    pass
os.waitpid(child, 0)
sys.stdout.buffer.write(seen)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=True)
    assert b"evil" in ended.stdout
    assert b"\x1b]" not in ended.stdout
    assert b"\x07" not in ended.stdout
