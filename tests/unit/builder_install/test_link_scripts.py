"""Post-link scripts run for the packages that policy names, in the final prefix."""

from __future__ import annotations

import stat

import pytest

from conda_store.errors import LinkScriptFailed

SCRIPT = """#!/bin/sh
echo "working in $PREFIX on $PKG_NAME $PKG_VERSION $PKG_BUILDNUM, secret=$CONDA_STORE_SECRET"
echo "$PREFIX" > "$PREFIX/where"
echo "order $PKG_NAME" >> "$PREFIX/order"
echo "please restart" >> "$PREFIX/.messages.txt"
"""


def test_scripts_are_off_by_default_and_named_in_the_log(site):
    site.add("scripted", link_scripts={"post-link": SCRIPT})
    site.install()
    assert not (site.store / "environment/where").exists()
    assert "The post-link script of scripted was not run: policy does not name it" in site.reporter.lines


@pytest.mark.parametrize("allowed", [frozenset({"scripted"}), frozenset({"*"})])
def test_named_scripts_run_with_the_final_prefix(site, allowed, monkeypatch):
    monkeypatch.setenv("CONDA_STORE_SECRET", "hush")
    site.add("scripted", "2.5", build_number=7, link_scripts={"post-link": SCRIPT})
    site.install(link_script_packages=allowed, permissions=0o555)
    prefix = site.store / "environment"
    assert (prefix / "where").read_text() == f"{prefix}\n"
    assert f"scripted: working in {prefix} on scripted 2.5 7, secret=" in site.reporter.lines
    assert "scripted: please restart" in site.reporter.lines
    assert not (prefix / ".messages.txt").exists()
    assert stat.S_IMODE((prefix / "where").stat().st_mode) == 0o444
    assert stat.S_IMODE(prefix.stat().st_mode) == 0o555


def test_only_the_named_ones_run(site):
    for name in ("allowed", "denied"):
        site.add(name, link_scripts={"post-link": SCRIPT})
    site.install(link_script_packages=frozenset({"allowed"}))
    assert (site.store / "environment/order").read_text() == "order allowed\n"


def test_dependencies_come_first(site):
    site.add("aaa", depends=["mmm"], link_scripts={"post-link": SCRIPT})
    site.add("mmm", depends=["zzz"], link_scripts={"post-link": SCRIPT})
    site.add("zzz", link_scripts={"post-link": SCRIPT})
    site.install(link_script_packages=frozenset({"*"}))
    assert (site.store / "environment/order").read_text() == "order zzz\norder mmm\norder aaa\n"


def test_failing_script_fails_the_build_and_leaves_nothing(site):
    site.add("broken", link_scripts={"post-link": "echo about to fail; echo http://user:pa55@host/ >&2; exit 3\n"})
    with pytest.raises(LinkScriptFailed) as caught:
        site.install(link_script_packages=frozenset({"broken"}))
    assert "the post-link script of broken 1.0 failed with status 3" in caught.value.message
    assert "about to fail" in caught.value.message
    assert "pa55" not in f"{caught.value}{site.reporter.text}"
    assert site.is_clean()
