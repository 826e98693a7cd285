"""The lock as conda-lock document, pinned YAML and explicit list, read by the programs they are meant for."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml

from conda_store.artifacts import conda_lock, environment_yaml, explicit
from conda_store.domain.lock import CondaPackage, Lock, PlatformLock, PyPIPackage
from conda_store.domain.platform import Platform
from conda_store.domain.specification import LockfileSpecification, Specification, parse_specification
from conda_store.errors import NotFound

CHANNEL = "https://conda.example.org/forge"


def package(name: str, version: str, build: str, subdir: str, *depends: str, **more: str | None) -> CondaPackage:
    hashes: dict[str, str | None] = {"md5": "0" * 31 + str(len(name) % 10), "sha256": "a" * 64}
    return CondaPackage(
        name,
        version,
        build,
        subdir,
        f"{CHANNEL}/{subdir}/{name}-{version}-{build}.conda",
        CHANNEL,
        depends=depends,
        **(hashes | more),  # type: ignore[arg-type]
    )


LINUX = PlatformLock(
    Platform.LINUX_64,
    (
        package(
            "python", "3.11.7", "h1_0_cpython", "linux-64", "__glibc >=2.17,<3.0.a0", "openssl >=3,<4", "openssl !=3.1"
        ),
        package("openssl", "3.0.20", "h2_0", "linux-64", "ca-certificates", "libgcc>=12"),
        package("ca-certificates", "2026.1", "0", "noarch"),
        package("numpy", "1.26.4", "py311_0", "linux-64", "python >=3.11,<3.12.0a0", "python_abi 3.11.* *_cp311"),
    ),
    (
        PyPIPackage(
            "flask",
            "3.1.3",
            "https://files.example.org/flask-3.1.3-py3-none-any.whl",
            ("sha256:" + "b" * 64, "sha512:" + "c" * 128),
            ("Werkzeug>=3.1", "blinker[x] (>=1.9)", 'importlib-metadata>=3.6; python_version < "3.10"', "absent>=1"),
        ),
        PyPIPackage("werkzeug", "3.1.9", "https://files.example.org/werkzeug-3.1.9.whl", ("sha256:" + "d" * 64,)),
        PyPIPackage("blinker", "1.9.0", "git+https://git.example.org/blinker@abc", ("sha256:" + "e" * 64,)),
    ),
)
MAC = PlatformLock(Platform.OSX_ARM64, (package("ca-certificates", "2026.1", "0", "noarch"),))
LOCK = Lock((CHANNEL, "https://conda.example.org/other"), (LINUX, MAC), ("--extra-index-url https://pypi.example.org",))
SPECIFICATION = parse_specification(
    {
        "name": "data-science",
        "channels": ["forge"],
        "dependencies": ["python", {"pip": ["flask", "Werkzeug @ https://files.example.org/werkzeug-3.1.9.whl"]}],
        "variables": {"B": "two", "A": 1},
    }
)


@pytest.fixture
def lockfile(tmp_path: Path) -> Path:
    file = tmp_path / "conda-lock.yml"
    file.write_bytes(conda_lock.render(LOCK, SPECIFICATION.sha256))
    return file


def test_conda_locks_own_parser_reads_it(lockfile: Path) -> None:
    with warnings.catch_warnings():
        # conda-lock's own vendored parts warn while they are imported
        warnings.simplefilter("ignore")
        from conda_lock.lockfile import parse_conda_lock_file

    content = parse_conda_lock_file(lockfile)
    assert [channel.url for channel in content.metadata.channels] == list(LOCK.channels)
    assert set(content.metadata.content_hash) == {"linux-64", "osx-arm64"}
    found = {(item.platform, item.manager, item.name): item for item in content.package}
    assert len(found) == 8
    python = found["linux-64", "conda", "python"]
    assert python.url == LINUX.conda[0].url
    assert python.hash.md5 == LINUX.conda[0].md5
    assert python.dependencies == {"__glibc": ">=2.17,<3.0.a0", "openssl": ">=3,<4,!=3.1"}
    assert found["linux-64", "conda", "openssl"].dependencies == {"ca-certificates": "", "libgcc": ">=12"}
    assert found["linux-64", "conda", "numpy"].dependencies["python_abi"] == "3.11.* *_cp311"
    assert found["linux-64", "pip", "flask"].dependencies == {"blinker": ">=1.9", "werkzeug": ">=3.1"}
    assert found["linux-64", "pip", "flask"].hash.sha256 == "b" * 64


def test_conda_lock_renders_it(lockfile: Path) -> None:
    command = [sys.executable, "-m", "conda_lock", "render", "--kind", "explicit", "--platform", "linux-64"]
    subprocess.run([*command, str(lockfile)], cwd=lockfile.parent, check=True, capture_output=True, timeout=120)
    rendered = (lockfile.parent / "conda-linux-64.lock").read_text().splitlines()
    ours = explicit.render(LINUX).decode().splitlines()
    assert "@EXPLICIT" in rendered
    urls = {line for line in rendered if line.startswith("https")}
    assert urls == {line for line in ours if line.startswith("https")}
    assert len(urls) == 4


def test_rattler_reads_it(lockfile: Path) -> None:
    from rattler import LockFile

    environment = LockFile.from_path(str(lockfile)).default_environment()
    assert environment is not None
    platform = next(item for item in environment.platforms() if str(item) == "linux-64" or "linux-64" in repr(item))
    packages = environment.packages(platform)
    assert packages is not None
    assert {item.name for item in packages} >= {"python", "numpy", "openssl", "flask"}


def test_it_is_json_with_an_indent_of_four_and_the_keys_of_the_format(lockfile: Path) -> None:
    text = lockfile.read_text()
    document = json.loads(text)
    assert text == json.dumps(document, indent=4)
    assert yaml.safe_load(text) == document
    assert list(document) == ["version", "metadata", "package"]
    assert document["version"] == 1
    for item in document["package"]:
        assert list(item) == [
            "name",
            "version",
            "manager",
            "platform",
            "dependencies",
            "url",
            "hash",
            "category",
            "optional",
        ]


def test_equal_locks_give_equal_documents_and_specifications_are_told_apart(lockfile: Path) -> None:
    assert conda_lock.render(LOCK, SPECIFICATION.sha256) == lockfile.read_bytes()
    other = json.loads(conda_lock.render(LOCK, "0" * 64))
    assert other["metadata"]["content_hash"] != json.loads(lockfile.read_bytes())["metadata"]["content_hash"]


def test_a_document_that_was_handed_in_comes_back_as_it_was() -> None:
    document = {"version": 1, "metadata": {"sources": ["mine.yml"], "x": 1}, "package": [{"name": "ü"}]}
    lock = Lock(LOCK.channels, LOCK.platforms, document=document)
    rendered = conda_lock.render(lock, SPECIFICATION.sha256)
    assert rendered == json.dumps(document, indent=4).encode()
    assert json.loads(rendered) == document


def test_the_pinned_yaml() -> None:
    text = environment_yaml.render(LOCK, Platform.LINUX_64, SPECIFICATION).decode()
    assert text == (
        "name: data-science\n"
        "channels:\n"
        "- https://conda.example.org/forge\n"
        "- https://conda.example.org/other\n"
        "dependencies:\n"
        "- ca-certificates=2026.1=0\n"
        "- numpy=1.26.4=py311_0\n"
        "- openssl=3.0.20=h2_0\n"
        "- python=3.11.7=h1_0_cpython\n"
        "- pip:\n"
        "  - --extra-index-url https://pypi.example.org\n"
        "  - blinker @ git+https://git.example.org/blinker@abc\n"
        "  - flask==3.1.3\n"
        "  - werkzeug @ https://files.example.org/werkzeug-3.1.9.whl\n"
        "variables:\n"
        "  A: 1\n"
        "  B: two\n"
    )


def test_the_pinned_yaml_is_a_specification_again() -> None:
    again = parse_specification(yaml.safe_load(environment_yaml.render(LOCK, Platform.LINUX_64, SPECIFICATION)))
    assert again.name == SPECIFICATION.name
    assert again.variables == SPECIFICATION.variables
    assert len(again.dependencies) == 4
    assert again.pip is not None and len(again.pip) == 4


def test_the_pinned_yaml_of_a_handed_in_lock_and_of_a_platform_that_is_not_there() -> None:
    specification = LockfileSpecification("from-lock", {})
    model = yaml.safe_load(environment_yaml.render(LOCK, Platform.OSX_ARM64, specification))
    assert model == {
        "name": "from-lock",
        "channels": list(LOCK.channels),
        "dependencies": ["ca-certificates=2026.1=0"],
    }
    with pytest.raises(NotFound, match="win-64"):
        environment_yaml.render(LOCK, Platform.WIN_64, Specification("x"))


def test_the_explicit_list() -> None:
    lines = explicit.render(LINUX).decode().splitlines()
    assert lines[:2] == ["# platform: linux-64", "@EXPLICIT"]
    assert lines[2] == f"{CHANNEL}/noarch/ca-certificates-2026.1-0.conda#{'0' * 31}5"
    assert lines[3] == f"{CHANNEL}/linux-64/numpy-1.26.4-py311_0.conda#{'0' * 31}5"
    assert lines[-2] == f"# pip flask @ https://files.example.org/flask-3.1.3-py3-none-any.whl --hash=sha256:{'b' * 64}"
    with_sha256 = explicit.render(LINUX, is_sha256=True).decode().splitlines()
    assert all(line.endswith(f"#sha256:{'a' * 64}") for line in with_sha256[2:6])
    without_md5 = PlatformLock(Platform.LINUX_64, (package("x", "1", "0", "noarch", md5=None),))
    assert explicit.render(without_md5).decode().splitlines()[2].endswith(f"#sha256:{'a' * 64}")


def test_rattler_reads_the_explicit_list(tmp_path: Path) -> None:
    from rattler.explicit_environment import ExplicitEnvironmentSpec

    file = tmp_path / "explicit.txt"
    file.write_bytes(explicit.render(LINUX))
    specification = ExplicitEnvironmentSpec.from_path(file)
    assert str(specification.platform) == "linux-64"
    assert len(specification.packages) == 4
