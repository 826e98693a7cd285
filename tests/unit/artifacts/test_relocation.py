"""Undoing an installer's replacement of prefixes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conda_store.artifacts.installed_records import PackagedFile
from conda_store.artifacts.relocation import (
    OWN_PLACEHOLDER,
    Rewrite,
    expand,
    relocate,
    relocate_compiled,
)
from tests.unit.artifacts.conftest import PLACEHOLDER, installed

PREFIX = "/srv/store/team/1234-environment"
PIECES = st.lists(
    st.sampled_from([PLACEHOLDER.encode(), b"/lib", b":", b"\0", b"\0\0\0", b"\xff\xfe", b"/srv/store", b"a\nb"]),
    max_size=30,
)


@given(PIECES)
def test_every_binary_comes_back_as_it_was_packaged(pieces: list[bytes]) -> None:
    packaged = b"".join(pieces) + b"\0"
    in_prefix = installed(packaged, PREFIX, is_binary=True)
    assert expand(in_prefix, PREFIX.encode(), PLACEHOLDER.encode()) == packaged


def test_a_binary_without_room_is_not_taken_for_a_packaged_one() -> None:
    assert expand(b"\0" + PREFIX.encode() + b"/lib\0code", PREFIX.encode(), PLACEHOLDER.encode()) is None
    assert expand(PREFIX.encode() + b" and no end", PREFIX.encode(), PLACEHOLDER.encode()) is None
    assert expand(PREFIX.encode() + b"\0", PREFIX.encode(), b"/short") is None


def test_a_binary_of_pip_keeps_its_length_under_a_neutral_name() -> None:
    data = b"\0\1" + PREFIX.encode() + b"/lib\0code"
    result = relocate("lib/extension.so", data, PREFIX.encode(), None)
    assert result is not None
    assert result.rewrite is Rewrite.BINARY
    assert len(result.data) == len(data)
    assert len(result.placeholder) == len(PREFIX)
    assert PREFIX.encode() not in result.data
    assert result.placeholder in result.data


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"#!{PREFIX}/bin/python3.11", "#!/usr/bin/env python3.11"),
        (f"#!{PREFIX}/bin/python3.11 -s -E", "#!/usr/bin/env -S python3.11 -s -E"),
        (f"#! {PREFIX}/bin/python3.11", "#! /usr/bin/env python3.11"),
        ("#!/bin/sh", "#!/bin/sh"),
        (f"#!/bin/sh -c {PREFIX}/bin/x", f"#!/bin/sh -c {OWN_PLACEHOLDER.decode()}/bin/x"),
    ],
)
def test_first_lines(line: str, expected: str) -> None:
    result = relocate("bin/script", f"{line}\nexec {PREFIX}/bin/other\n".encode(), PREFIX.encode(), None)
    assert result is not None
    assert result.data.decode() == f"{expected}\nexec {OWN_PLACEHOLDER.decode()}/bin/other\n"
    assert result.rewrite is (Rewrite.SCRIPT if "env" in expected else Rewrite.TEXT)


def test_compiled_modules_of_packages_are_restored() -> None:
    packaged = b"\xa7\r\r\n\0\0" + PLACEHOLDER.encode() + b"/lib/python3.11/x.py\0\0"
    record = PackagedFile(PLACEHOLDER.encode(), False, hashlib.sha256(packaged).hexdigest())
    result = relocate("x.pyc", installed(packaged, PREFIX, is_binary=True), PREFIX.encode(), record)
    assert result is not None
    assert result.data == packaged


@pytest.mark.parametrize("name_length", [10, 200, 400])
def test_file_names_in_compiled_modules_become_relative(name_length: int) -> None:
    import marshal

    name = "lib/" + "x" * name_length + ".py"
    code = compile("def f():\n    return 1\n", f"{PREFIX}/{name}", "exec")
    result = relocate_compiled(marshal.dumps(code), PREFIX.encode())
    assert result is not None
    assert marshal.loads(result) == code.replace(
        co_filename=name,
        co_consts=tuple(
            item.replace(co_filename=name) if hasattr(item, "co_filename") else item for item in code.co_consts
        ),
    )


@pytest.mark.parametrize("source", [f"X = '{PREFIX}/etc'", f"X = 'see {PREFIX}'", f"X = b'{PREFIX}/x.py and {PREFIX}'"])
def test_compiled_modules_with_other_traces_are_left_out(source: str) -> None:
    import marshal

    assert relocate_compiled(marshal.dumps(compile(source, "x.py", "exec")), PREFIX.encode()) is None
