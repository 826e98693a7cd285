"""What becomes of configurations that cannot be used."""

from pathlib import Path

import pytest

from conda_store.config.core import CondaStore
from conda_store.config.programs import Program
from conda_store.config.server import CondaStoreServer
from conda_store.errors import ConfigurationError


def read(*arguments: str) -> Program:
    program = Program()
    program.read(arguments)
    return program


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("c.CondaStore.lease_seconds = 1\nc.CondaStore.\n", 2, "SyntaxError: invalid syntax"),
        ("\n\nraise ValueError('no token')\n", 3, "ValueError: no token"),
        ("def late():\n    return undefined\n\nlate()\n", 2, "NameError: name 'undefined' is not defined"),
    ],
)
def test_a_broken_file_ends_the_program_and_is_not_left_out(tmp_path: Path, text: str, line: int, why: str) -> None:
    file = tmp_path / "config.py"
    file.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        read("--config", str(file))

    assert caught.value.message == f"the configuration file {str(file)!r} line {line} fails: {why}"
    assert caught.value.hint


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'.*/nothing\.py' does not exist"):
        read("--config", str(tmp_path / "nothing.py"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory") as caught:
        read("--config", str(tmp_path))
    assert "the user that the program runs as" in caught.value.hint


def test_a_mistyped_class_is_warned_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.py"
    file.write_text(
        "from conda_store.auth.providers.oauth import GithubOAuthAuthentication\n"
        "class OurGithubOAuthAuthentication(GithubOAuthAuthentication):\n    pass\n"
        "c.CondaStoreServer.authentication_class = OurGithubOAuthAuthentication\n"
        "c.OurGithubOAuthAuthentication.client_id = 'ours'\n"
        "c.S3Storage.bucket_name = 'of an earlier server'\n"
        "c.CondaStorServer.port = 1\n"
    )
    read(f"--config={file}")

    told = capfd.readouterr().err.splitlines()
    assert len(told) == 1
    assert "no class `CondaStorServer`" in told[0] and "`CondaStoreServer`?" in told[0]


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="there is no option --prot") as caught:
        read("--prot=8080")
    assert "--Class.option=value" in caught.value.hint


@pytest.mark.parametrize("arguments", [["extra"], ["--port=1", "extra"], ["--standalone", "extra"]])
def test_an_argument_is_refused(arguments: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="there is no argument 'extra'"):
        read(*arguments)


def test_address_and_port_have_short_names() -> None:
    server = read("--port", "8081", "--address=127.0.0.1").part(CondaStoreServer)

    assert (server.address, server.port) == ("127.0.0.1", 8081)


def test_the_command_line_counts_more_than_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text("c.CondaStoreServer.port = 1\nc.CondaStore.lease_seconds = 7\n")

    program = read("--CondaStoreServer.port=2", f"--config={file}")

    assert program.part(CondaStoreServer).port == 2
    assert program.part(CondaStore).lease_seconds == 7


def test_an_option_of_an_earlier_server_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "config.py"
    file.write_text("c.CondaStoreServer.log_format = 'x'\nc.S3Storage.bucket = 'y'\n")

    program = read("--config", str(file))
    program.log.addHandler(caplog.handler)
    for _ in range(2):
        program.part(CondaStoreServer)

    assert [record.getMessage().partition(" not ")[0] for record in caplog.records] == ["Config option `log_format`"]


@pytest.mark.parametrize("budget", [2, 126])
def test_an_image_has_no_more_layers_than_docker_takes(budget: int) -> None:
    with pytest.raises(ConfigurationError, match="image_layer_budget"):
        read(f"--CondaStore.image_layer_budget={budget}").part(CondaStore)
