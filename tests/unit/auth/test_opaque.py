from __future__ import annotations

import re

import pytest

from conda_store.auth.opaque import digest, is_token, new_token


def test_tokens_are_recognised_by_scanners_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    for token in tokens:
        assert re.fullmatch(r"cst_[0-9A-Za-z]{46}", token)
        assert is_token(token)
        assert token not in digest(token)


@pytest.mark.parametrize("text", ["", "cst_", "cst_" + "a" * 46, "admin", "cst_" + "é" * 46, "x" * 10_000])
def test_what_is_no_token_is_told_without_looking_it_up(text: str) -> None:
    assert not is_token(text)


def test_a_token_with_a_slip_in_it_is_none() -> None:
    token = new_token()
    wrong = token[:10] + ("a" if token[10] != "a" else "b") + token[11:]
    assert not is_token(wrong)
