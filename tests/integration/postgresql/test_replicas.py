"""Two servers, each a process of its own with a directory of its own, on one database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from conda_store.auth.passwords import make_entry
from tests.acceptance.harness import tiny_channel
from tests.acceptance.service import Service, serving
from tests.waiting import PATIENCE
from tools.channel.serve import ChannelServer

PEOPLE = ("grace", "ada")
CONFIGURATION = """
from conda_store.auth.providers.simple import PasswordFileAuthentication

c.CondaStoreServer.authentication_class = PasswordFileAuthentication
c.PasswordFileAuthentication.password_file = "{}"
c.RBACAuthorizationBackend.admin_users = {{"grace", "ada"}}
"""


@contextmanager
def logged_in(service: Service, name: str) -> Iterator[httpx.Client]:
    """The browser of somebody."""
    with httpx.Client(base_url=service.http.base_url, headers={"Accept": "text/html"}, timeout=PATIENCE) as client:
        answer = client.post("/login/", data={"username": name, "password": f"password-of-{name}"})
        assert answer.status_code == 303, answer.text
        yield client


def test_two_who_edit_at_two_servers_hear_of_each_other(database_url: str, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("".join(f"{make_entry(name, f'password-of-{name}')}\n" for name in PEOPLE))
    configuration = tmp_path / "config.py"
    configuration.write_text(CONFIGURATION.format(passwords))
    with ExitStack() as stack:
        channel = stack.enter_context(ChannelServer(tiny_channel(tmp_path / "channel")))
        options = {"database_url": database_url, "conda_default_channels": [channel.url]}
        first, second = (
            stack.enter_context(serving(tmp_path / name, f"--config={configuration}", **options)) for name in "ab"
        )
        assert first.pid != second.pid
        build_id = first.submit("name: both\ndependencies: [one]\n", namespace="team")
        grace, ada = (
            stack.enter_context(logged_in(service, name)) for service, name in zip((first, second), PEOPLE, strict=True)
        )
        asked = {"build": build_id, "newest_seen": build_id}
        assert "open for editing" not in grace.get("/create/", params={"build": build_id}).text
        form = ada.get("/create/", params={"build": build_id}).text
        assert "grace has this environment open for editing, too." in form
        assert "ada has this environment open for editing, too." in grace.get("/create/newer/", params=asked).text

        sent = {"namespace": "team", "specification": "name: both\ndependencies: [two]\n", "newest_seen": str(build_id)}
        handed_in = ada.post("/create/", data=sent)
        assert handed_in.status_code == 303
        newest = handed_in.headers["location"].split("/")[2]
        news = re.sub(r"<[^>]+>", "", grace.get("/create/newer/", params=asked).text)
        assert f"Build {newest} of this environment was submitted by ada while you were editing" in news
        refused = grace.post("/create/", data=sent)
        assert refused.status_code == 409
        assert f"build {newest} of team/both was submitted while you were editing" in refused.text
