"""Activation, in the shells that are there."""

import json
import subprocess
from pathlib import Path

import pytest

from conda_store.artifacts.relocation import OWN_PLACEHOLDER
from conda_store.artifacts.scripts import activation_scripts, environment_variables

SHELLS = ["bash", "dash"]
VARIABLES = {"PLAIN": "value", "ODD": 'it\'s "$HOME" `x` \\ ü', "KEPT": "environment's", "EMPTY": ""}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment as it is once conda-unpack has put in its path."""
    root = tmp_path / "my env's"
    (root / "bin").mkdir(parents=True)
    for path, script in activation_scripts(VARIABLES).items():
        (root / path).write_bytes(script.replace(OWN_PLACEHOLDER, str(root).encode()))
    for action in ("activate", "deactivate"):
        (root / f"etc/conda/{action}.d").mkdir(parents=True)
        (root / f"etc/conda/{action}.d/b.sh").write_text(f'HOOKS="$HOOKS {action}-b"\n')
        (root / f"etc/conda/{action}.d/a.sh").write_text(f'HOOKS="$HOOKS {action}-a:$PLAIN"\n')
    return root


def run(shell: str, script: str) -> list[str]:
    result = subprocess.run(
        [shell, "-euc", script],
        env={"PATH": "/usr/bin:/bin", "KEPT": "before", "HOOKS": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    assert result.stderr == ""
    return result.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_there_and_back(environment: Path, shell: str) -> None:
    lines = run(
        shell,
        f'. "{environment}/bin/activate"; echo "$CONDA_PREFIX"; echo "$PATH"; echo "$PLAIN"; printf "%s\\n" "$ODD"; '
        'echo "$KEPT"; echo "[$EMPTY]"; deactivate; echo "$PATH"; echo "$KEPT"; '
        'echo "[${PLAIN-unset}${ODD-unset}${CONDA_PREFIX-unset}]"; echo $HOOKS',
    )
    assert lines == [
        str(environment),
        f"{environment}/bin:/usr/bin:/bin",
        "value",
        VARIABLES["ODD"],
        "environment's",
        "[]",
        "/usr/bin:/bin",
        "before",
        "[unsetunsetunset]",
        "activate-a:value activate-b deactivate-a:value deactivate-b",
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_another_one_takes_its_place_and_twice_is_once(environment: Path, shell: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "bin").mkdir(parents=True)
    for path, script in activation_scripts({}).items():
        (other / path).write_bytes(script.replace(OWN_PLACEHOLDER, str(other).encode()))
    lines = run(
        shell,
        f'. "{environment}/bin/activate"; . "{environment}/bin/activate"; . "{other}/bin/activate"; '
        'echo "$PATH"; echo "${PLAIN-unset}"; . "$CONDA_PREFIX/bin/deactivate"; echo "$PATH"',
    )
    assert lines == [f"{other}/bin:/usr/bin:/bin", "unset", "/usr/bin:/bin"]


def test_before_conda_unpack_bash_finds_the_environment_and_dash_says_what_to_do(environment: Path) -> None:
    (environment / "bin/activate").write_bytes(activation_scripts(VARIABLES)["bin/activate"])
    assert run("bash", f'. "{environment}/bin/activate"; echo "$CONDA_PREFIX"') == [str(environment)]
    result = subprocess.run(
        ["dash", "-c", f'. "{environment}/bin/activate"'], capture_output=True, text=True, check=False
    )
    assert "run bin/conda-unpack" in result.stderr


def test_variables_come_from_the_environments_own_files(tmp_path: Path) -> None:
    assert environment_variables(tmp_path) == {}
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "etc/conda/env_vars.d").mkdir(parents=True)
    (tmp_path / "etc/conda/env_vars.d/package.json").write_text(json.dumps({"A": "package", "B": "package"}))
    (tmp_path / "conda-meta/state").write_text(json.dumps({"version": 1, "env_vars": {"B": "own", "no-name": "x"}}))
    assert environment_variables(tmp_path) == {"A": "package", "B": "own"}
