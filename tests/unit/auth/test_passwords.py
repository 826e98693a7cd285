from __future__ import annotations

from pathlib import Path

import pytest

from conda_store.auth.passwords import PasswordFile, make_entry
from conda_store.errors import ConfigurationError, InvalidInput


def test_a_line_is_made_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.write_text(f"# people\n\n{make_entry('alice', 'pässword', ('data', 'it'))}\n")
    file = PasswordFile(path)
    found = file.check("alice", "pässword")
    assert found is not None
    assert found.groups == ("data", "it")
    assert file.check("alice", "password") is None
    assert file.check("bob", "pässword") is None
    assert file.check("alice", "x" * 5000) is None
    assert "pässword" not in path.read_text()


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.write_text(f"{make_entry('alice', 'one')}\n")
    file = PasswordFile(path)
    assert file.check("alice", "one")
    path.write_text(f"{make_entry('carol', 'two')}\n")
    assert file.check("alice", "one") is None
    assert file.check("carol", "two")


def test_nobody_has_the_hash_that_stands_for_nobody(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.write_text("")
    assert PasswordFile(path).check("x", "nobody has this password, and nobody has this name") is None


@pytest.mark.parametrize("line", ["alice:hunter2", "alice", "a b:$argon2id$x", ":$argon2id$x"])
def test_a_line_that_is_none_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    path = tmp_path / "passwords"
    path.write_text(f"# people\n{line}\n")
    with pytest.raises(ConfigurationError, match="line 2") as refused:
        PasswordFile(path).entries()
    assert "hunter2" not in str(refused.value)


def test_a_name_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.write_text("alice:$argon2id$x\nalice:$argon2id$y\n")
    with pytest.raises(ConfigurationError, match="line 2: the name stands there twice"):
        PasswordFile(path).entries()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        PasswordFile(tmp_path / "absent").entries()


@pytest.mark.parametrize(("name", "password", "group"), [("a b", "x", "g"), ("a", "", "g"), ("a", "x", "g,h")])
def test_what_cannot_be_a_line(name: str, password: str, group: str) -> None:
    with pytest.raises(InvalidInput):
        make_entry(name, password, (group,))
