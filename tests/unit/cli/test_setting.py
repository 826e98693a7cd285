import pytest

from conda_store.cli.main import conda_store_command
from conda_store.cli.setting import assigned
from conda_store.errors import InvalidInput
from tests.unit.cli.test_reference import walked


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=20", 20),
        ("a=null", None),
        ('a=["conda-forge"]', ["conda-forge"]),
        ("a=https://mirror.example.org/?x=1", "https://mirror.example.org/?x=1"),
        ("a=", ""),
    ],
)
def test_values_are_json_or_texts(text: str, value: object) -> None:
    assert assigned(text) == ("a", value)


@pytest.mark.parametrize("text", ["a", "=1", ""])
def test_what_assigns_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="sets nothing"):
        assigned(text)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ([], "/api/v1/setting/"),
        (["--for", "team"], "/api/v1/setting/team/"),
        (["--for", "a/b"], "/api/v1/setting/a/b/"),
    ],
)
def test_settings_are_set_where_they_are_to_count(command, server, arguments, path):
    server.data(f"PUT {path}", None)
    server.page("GET /api/v1/namespace/", [])
    server.page("GET /api/v1/environment/", [])
    ended = command("setting", "set", "quota_builds=3", "conda_allowed_channels=[]", *arguments)
    assert ended.status == 0
    assert ended.out.endswith(": quota_builds, conda_allowed_channels\n")
    assert server.requests[-1].json == {"quota_builds": 3, "conda_allowed_channels": []}


def test_settings_are_dropped_where_they_were_set(command, server):
    server.data("PUT /api/v1/setting/team/", None)
    server.page("GET /api/v1/namespace/", [{"id": 1, "name": "team"}])
    ended = command("setting", "unset", "quota_builds", "build_artifacts", "--for", "team")
    assert (ended.status, ended.out, ended.err) == (0, "Unset for team: quota_builds, build_artifacts\n", "")
    assert server.requests[-1].query == {"unset": ["quota_builds", "build_artifacts"]}
    assert server.requests[-1].json == {}


@pytest.mark.parametrize(("target", "what"), [("teem", "namespace teem"), ("team/x", "environment team/x")])
def test_a_target_that_does_not_exist_is_warned_of(command, server, target, what):
    server.page("GET /api/v1/namespace/", [{"id": 1, "name": "team"}])
    server.page("GET /api/v1/environment/", [])
    server.data(f"PUT /api/v1/setting/{target}/", None)
    assert f"no {what} (yet)" in command("setting", "set", "quota_builds=3", "--for", target).err


def test_an_empty_target_does_not_count_for_everything(command, server):
    server.data("PUT /api/v1/setting/", None)
    ended = command("setting", "set", "quota_builds=3", "--for", "")
    assert ended.status == 1
    assert not [request for request in server.requests if request.method == "PUT"]


def test_settings_are_shown(command, server):
    server.data("GET /api/v1/setting/team/", {"quota_builds": None, "conda_default_channels": ["conda-forge"]})
    shown = command("setting", "show", "team").out
    assert "Settings for team" in shown
    assert '["conda-forge"]' in shown


def test_namespaces_are_made_and_deleted(command, server):
    server.data("POST /api/v1/namespace/team/", None)
    server.data("DELETE /api/v1/namespace/team/", None)
    assert command("namespace", "create", "team").out == "team is created.\n"
    assert command("namespace", "delete", "team").status == 1
    assert server.requests[-1].method == "POST"
    assert command("namespace", "delete", "team", "--yes").out == "team is deleted.\n"


SUBCOMMANDS = {name: command for name, command in walked(conda_store_command) if " " in name}


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_summaries_in_lists_of_commands_are_whole(name: str) -> None:
    assert not SUBCOMMANDS[name].get_short_help_str(limit=62).endswith("..."), SUBCOMMANDS[name].help
