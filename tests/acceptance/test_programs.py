"""`conda-store-server` and `conda-store-worker`, as operators run them: with one configuration file for both."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.acceptance.harness import tiny_channel
from tests.processes import alive_children, is_running
from tests.waiting import PATIENCE, wait_for
from tools.channel.serve import ChannelServer

TOKEN = "a-token-that-the-operator-made-up"
CONFIGURATION = f"""
import logging

c.CondaStore.store_directory = "{{0}}/state"
c.CondaStore.environment_directory = "{{0}}/home/{{{{namespace}}}}/envs/{{{{namespace}}}}-{{{{name}}}}"
c.CondaStore.cache_directory = "{{0}}/cache"
c.CondaStore.database_url = "sqlite:///{{0}}/conda-store.sqlite"
c.CondaStore.default_namespace = "global"
c.CondaStore.default_permissions = "555"
c.CondaStore.conda_default_channels = ["{{1}}"]
c.CondaStore.storage_threshold = 0
c.CondaStore.redis_url = None
c.LocalStorage.storage_path = "{{0}}/storage"
c.CondaStoreServer.log_level = logging.INFO
c.CondaStoreServer.log_format = "%(message)s"
c.CondaStoreServer.address = "127.0.0.1"
c.CondaStoreServer.port = 0
c.CondaStoreServer.url_prefix = "/conda-store"
c.CondaStoreServer.of_a_later_release = True
c.ClassOfAnExtension.option = 1
c.CondaStoreWorker.concurrency = 1
c.CondaStoreWorker.index_channels = False
c.AuthenticationBackend.predefined_tokens = {{{{
    "{TOKEN}": {{{{"primary_namespace": "global", "role_bindings": {{{{"*/*": ["admin"]}}}}}}}},
}}}}
"""


class Site:
    """A configuration, and programs that read it."""

    def __init__(self, directory: Path, channel: str) -> None:
        self.directory = directory
        self.configuration = directory / "conda_store_config.py"
        self.configuration.write_text(CONFIGURATION.format(directory, channel))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CONDA")},
            "XDG_DATA_HOME": str(directory / "data"),
            "XDG_CONFIG_HOME": str(directory / "config"),
        }

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    @contextmanager
    def running(self, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """A program with the configuration; it ends with the block, and takes all its processes along."""
        program = Path(sys.executable).with_name(name)
        with (self.directory / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [program, f"--config={self.configuration}", *arguments], env=self.environment, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            family = {process.pid, *alive_children(process.pid)}
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            wait_for("all its processes end", lambda: not any(map(is_running, family)))

    def client(self) -> httpx.Client:
        def served() -> re.Match[str] | None:
            return re.search(r"conda-store is served at (http\S+)/\s", self.log("conda-store-server"))

        url = wait_for("the server is up", served)[1]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.Client(base_url=url, headers=headers, follow_redirects=True, timeout=PATIENCE)

    def completed(self, http: httpx.Client, name: str) -> None:
        """Handed in without a slash and without a namespace, as older programs do."""
        answer = http.post("/api/v1/specification", json={"specification": f"name: {name}\ndependencies: [two]\n"})
        assert answer.status_code == 200, answer.text
        path = f"/api/v1/build/{answer.json()['data']['build_id']}/"
        ended = {"COMPLETED", "FAILED", "CANCELED"}
        build = wait_for("the build ends", lambda: (it := http.get(path).json()["data"])["status"] in ended and it)
        assert build["status"] == "COMPLETED", build["status_info"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ChannelServer(tiny_channel(tmp_path / "channel")) as channel:
        yield Site(tmp_path, channel.url)


def test_a_server_and_a_worker_share_a_configuration(site: Site) -> None:
    with (
        site.running("conda-store-server"),
        site.running("conda-store-worker", "--standalone") as worker,
        site.client() as http,
    ):
        assert str(http.base_url).endswith("/conda-store/")
        assert http.get(http.base_url.copy_with(path="/v2/")).status_code == 404, "nobody has asked for a registry"
        site.completed(http, "env")
        link = site.directory / "home" / "global" / "envs" / "global-env"
        wait_for("the environment is linked", link.is_symlink)
        assert (link / "share" / "two" / "0.txt").read_text() == "two 0\n"
        assert stat.S_IMODE(link.stat().st_mode) == 0o555
        worker.send_signal(signal.SIGKILL)
        worker.wait(PATIENCE)
        with site.running("conda-store-worker"):
            site.completed(http, "again")
            temporary = site.directory / "state" / "%temporary"
            wait_for("those of the killed one are cleared away", lambda: len(list(temporary.iterdir())) <= 3)
    for name in ("conda-store-server", "conda-store-worker"):
        log = site.log(name)
        assert "log_format" in log and "of_a_later_release" in log  # told, and no more than that
        assert "Traceback" not in log
    assert list((site.directory / "state" / "%temporary").iterdir()) == []


def test_standalone_is_both(site: Site) -> None:
    options = ("--standalone", "--CondaStoreWorker.no_such_option=1")
    with site.running("conda-store-server", *options), site.client() as http:
        site.completed(http, "env")
        token = (site.directory / "data" / "conda-store" / "admin-token").read_text()
        known = http.get("/api/v1/permission/", headers={"Authorization": f"Bearer {token}"}).json()["data"]
        assert known["primary_namespace"] == "global"
    log = site.log("conda-store-server")
    assert [log.count(name) for name in ("of_a_later_release", "no_such_option")] == [1, 1]


def test_a_server_is_a_registry_where_it_is_told_to_be(site: Site) -> None:
    options = (
        "--standalone",
        "--CondaStoreServer.enable_registry=True",
        "--CondaStoreServer.registry_external_url=images.example:5000",
        "--CondaStore.default_docker_base_image=scratch",
    )
    with site.running("conda-store-server", *options), site.client() as http:
        site.completed(http, "env")
        manifests = "/v2/global/env/manifests"
        latest = http.get(http.base_url.copy_with(path=f"{manifests}/latest"))
        assert latest.status_code == 200, latest.text
        name, _, tag = http.get("/api/v1/build/1/docker/").text.rpartition(":")
        assert name == "images.example:5000/global/env"
        assert http.get(http.base_url.copy_with(path=f"{manifests}/{tag}")).content == latest.content


@pytest.mark.parametrize("program", ["conda-store-server", "conda-store-worker"])
def test_a_configuration_that_is_not_there(tmp_path: Path, program: str) -> None:
    command = [str(Path(sys.executable).with_name(program)), f"--config={tmp_path / 'none.py'}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 1
    assert "none.py" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("program", [("conda-store-server", "--standalone"), ("conda-store-worker",)])
def test_a_store_directory_that_cannot_be_used(tmp_path: Path, program: tuple[str, ...]) -> None:
    """By a worker: a server without one does without."""
    (tmp_path / "file").write_text("")
    command = [str(Path(sys.executable).with_name(program[0])), *program[1:]]
    command += [f"--CondaStore.store_directory={tmp_path / 'file'}"]
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment)
    assert ended.returncode == 1
    assert f"{str(tmp_path / 'file')!r} cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_worker_whose_server_is_gone_before_it_has_begun_does_not_begin(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "conda_store", "worker", "--die-with-parent=1"]  # not who starts it here
    command += [f"--CondaStore.store_directory={tmp_path}", f"--CondaStore.cache_directory={tmp_path / 'cache'}"]
    command += [f"--CondaStore.database_url=sqlite:///{tmp_path / 'conda-store.sqlite'}"]
    ended = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert ended.returncode == -signal.SIGTERM
    assert not (tmp_path / "conda-store.sqlite").exists()
