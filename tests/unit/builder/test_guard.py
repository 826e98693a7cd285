"""Whatever is handed in, and whatever rattler does: the answer is an error of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rattler import LockFile, LockPlatform

from conda_store.builder import formats, matchspecs
from conda_store.builder.formats.pixi_lock import write_pixi_lock
from conda_store.builder.guard import described, is_from_rattler
from conda_store.domain.specification import LockfileSpecification, Specification
from conda_store.errors import InvalidSpecification
from tests.unit.builder.test_formats import ENVIRONMENT, PIXI, example_lock, lock_document

TEXTS = [ENVIRONMENT, PIXI, json.dumps(lock_document()), "@EXPLICIT\nhttps://a.example/noarch/tool-1.0-0.conda#abc\n"]
TEXTS.append("numpy>=1\n--index-url https://a.example\n")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FORMS = st.sampled_from([None, *formats.FORMATS])


def read_or_refuse(data: bytes, form: str | None) -> None:
    try:
        specification = formats.read(
            data,
            format=form,
            name="fuzzed",
            problems=matchspecs.specification_problems,
        )
    except InvalidSpecification as error:
        str(error).encode()
    else:
        assert isinstance(specification, Specification | LockfileSpecification)
        assert len(specification.sha256) == 64


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(TEXTS), st.integers(0, 2000), st.integers(0, 40), st.text(max_size=6) | st.just("\t"), FORMS)
def test_a_changed_text_is_read_or_refused(text: str, at: int, length: int, put: str, form: str | None) -> None:
    read_or_refuse((text[:at] + put + text[at + length :]).encode(errors="surrogatepass"), form)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(["name", "channels", "dependencies", "variables", "metadata", "package", "version"]), VALUES, FORMS
)
def test_a_changed_value_is_read_or_refused(key: str, value: object, form: str | None) -> None:
    document = {"name": "x", "dependencies": ["python", {"pip": ["flask"]}]}
    for base in (document, lock_document()):
        read_or_refuse(json.dumps({**base, key: value}).encode(), form)


PIXI_WORDS = (
    "workspace channels dependencies pypi-dependencies target linux-64 feature test python environments features "
    "activation env system-requirements libc pypi-options git extras index-url extra-index-urls"
)
PIXI_PATHS = st.lists(st.sampled_from(PIXI_WORDS.split()), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    PIXI_PATHS, st.sampled_from(['"x"', "1", "true", "[]", "[1, {}]", '["test"]', "{}", '{ a = "1" }', "2024-01-01"])
)
def test_a_pixi_manifest_with_anything_anywhere(path: list[str], value: str) -> None:
    text = f"{'.'.join(path)} = {value}\n[workspace.x]\n[environments.y]\n[feature.test.x]\n"
    for environment in ("default", "test", "y"):
        read_or_refuse(text.encode(), f"pixi.toml:{environment}")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=60), FORMS)
def test_bytes_are_read_or_refused(data: bytes, form: str | None) -> None:
    read_or_refuse(data, form)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=40))
def test_any_text_as_a_match_spec(text: str) -> None:
    matchspecs.specification_problems(Specification("a", dependencies=(text, f"numpy{text}"), pip=(text,)))


def test_a_panic_of_rattler_is_told_apart_and_described(tmp_path: Path) -> None:
    path = tmp_path / "pixi.lock"
    path.write_text(write_pixi_lock(example_lock()))
    environment = LockFile.from_path(path).default_environment()
    assert environment is not None
    with pytest.raises(BaseException) as caught:
        environment.packages(LockPlatform("linux-64"))
    assert not isinstance(caught.value, Exception)
    assert is_from_rattler(caught.value)
    assert described(caught.value).startswith("rattler stopped unexpectedly: ")
    assert len(described(caught.value).splitlines()) == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(), InvalidSpecification("ours"), TimeoutError()])
def test_what_is_not_rattlers(stop: BaseException) -> None:
    assert not is_from_rattler(stop)


def test_secrets_are_left_out_of_what_rattler_says() -> None:
    error = RuntimeError("GET https://ann:p@(w)'\"@a.example/t/tk-123/main failed\nCaused by: x\nCaused by: x")
    assert described(error) == "GET https://a.example/main failed\nCaused by: x"
