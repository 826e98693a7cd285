"""`make audit`: a known vulnerability is found, an exception is explained, and silence does not pass for clean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.serving import serving
from tools.audit import CLEAN, ROOT, UNKNOWN, VULNERABLE, main, read_exceptions, tell

ADVISORY = {
    "id": "GHSA-test",
    "aliases": ["CVE-2026-1"],
    "summary": "reads what it should not",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "holed", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class _Advisories(BaseHTTPRequestHandler):
    """The query API of OSV: https://google.github.io/osv.dev/post-v1-query/"""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_holed = asked["package"]["name"] == "holed" and asked["version"] == "1.0"
        body = json.dumps({"vulns": [ADVISORY]} if is_holed else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[list[str]]:
    with serving(_Advisories) as port:
        yield ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{port}/v1/query"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    locked, exceptions = tmp_path / "locked.txt", tmp_path / "exceptions.txt"
    locked.write_text("holed==1.0\nsound==2.0\n")
    exceptions.write_text("# none\n")
    return ["--requirement", str(locked), "--exceptions", str(exceptions)]


def test_a_known_vulnerability_is_found(
    files: list[str], service: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*files, *service]) == VULNERABLE
    told = capsys.readouterr().out
    assert told == "VULNERABLE: holed 1.0: CVE-2026-1, mended in 1.1. reads what it should not\n"


def test_a_version_without_one_is_clean(
    files: list[str], service: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(files[1]).write_text("holed==1.1\nsound==2.0\n")
    assert main([*files, *service]) == CLEAN
    assert capsys.readouterr().out == "2 packages, no known vulnerability\n"


def test_an_exception_is_explained(files: list[str], service: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(files[3]).write_text("GHSA-test it is never given such a file\nCVE-2020-1 old\n")
    assert main([*files, *service]) == CLEAN
    told = capsys.readouterr().out
    assert "excepted: holed 1.0: CVE-2026-1: it is never given such a file\n" in told
    assert "the exception CVE-2020-1 is not needed any more\n" in told


def test_a_service_that_is_not_there_is_no_verdict(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files, "--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:9/"]) == UNKNOWN
    assert capsys.readouterr().out.startswith("NOT AUDITED: no advisory service was reached")


def test_packages_that_it_does_not_know_are_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = {"name": "ours", "skip_reason": "Dependency not found on PyPI"}
    assert tell([unknown, {"name": "sound", "version": "2.0", "vulns": []}], {}) == UNKNOWN
    assert "NOT AUDITED: 1 of 2 packages" in capsys.readouterr().out


def test_each_exception_has_a_reason(tmp_path: Path) -> None:
    assert read_exceptions(ROOT / "requirements" / "audit-exceptions.txt") is not None
    (tmp_path / "exceptions.txt").write_text("CVE-2026-1\n")
    with pytest.raises(ValueError, match="CVE-2026-1 needs a reason"):
        read_exceptions(tmp_path / "exceptions.txt")
