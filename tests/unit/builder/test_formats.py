"""Specifications in every form, and what is said of those that cannot be read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from conda_store.builder import formats, matchspecs
from conda_store.builder.formats.pixi_lock import write_pixi_lock
from conda_store.domain.conda_lock import document as lock_to_document
from conda_store.domain.conda_lock import lock_from_document
from conda_store.domain.lock import CondaPackage, Lock, PlatformLock, PyPIPackage
from conda_store.domain.platform import Platform, current_platform
from conda_store.domain.specification import AnySpecification, LockfileSpecification, Specification
from conda_store.errors import InvalidSpecification

FIRST_LINE = "Unable to parse. Invalid YAML"
CHANNEL = "https://conda.example/main"


def read(text: str | bytes, form: str | None = None, name: str | None = None) -> AnySpecification:
    data = text.encode() if isinstance(text, str) else text
    return formats.read(
        data,
        format=form,
        name=name,
        problems=matchspecs.specification_problems,
    )


def solvable(text: str, form: str | None = None, name: str | None = None) -> Specification:
    specification = read(text, form, name)
    assert isinstance(specification, Specification)
    return specification


def refusal(text: str | bytes, form: str | None = None, name: str | None = None) -> InvalidSpecification:
    with pytest.raises(InvalidSpecification) as caught:
        read(text, form, name)
    return caught.value


# --- environment.yaml ---------------------------------------------------------------------------------------

ENVIRONMENT = """\
name: science
channels:
  - conda-forge
dependencies:
  - python=3.11.*
  - numpy=1.26.4=py311h64a7726_0
  - pip:
      - --extra-index-url https://pypi.example/simple
      - requests >=2
  - scipy 1.11
variables:
  MODE: fast
  COUNT: 3
prefix: /home/somebody
"""


def test_an_environment_file() -> None:
    specification = solvable(ENVIRONMENT)
    assert specification.name == "science"
    assert specification.dependencies == ("python=3.11.*", "numpy=1.26.4=py311h64a7726_0", "scipy 1.11")
    assert specification.pip == ("--extra-index-url https://pypi.example/simple", "requests >=2")
    assert specification.variables == {"MODE": "fast", "COUNT": 3}


def test_json_is_the_same_specification() -> None:
    as_json = json.dumps(yaml.safe_load(ENVIRONMENT))
    assert solvable(as_json).sha256 == solvable(ENVIRONMENT).sha256


def test_a_name_given_beside_the_text_fills_in() -> None:
    assert solvable("dependencies: [python]", name="from-outside").name == "from-outside"
    assert solvable("name: inside", name="from-outside").name == "inside"


def test_problems_have_the_line_of_the_value() -> None:
    text = ENVIRONMENT.replace("scipy 1.11", "scipy==").replace("requests >=2", "git+https://x.example/y")
    error = refusal(text)
    assert [(problem.line, problem.path) for problem in error.problems] == [
        (10, ("dependencies", 3)),
        (9, ("dependencies", 2, "pip", 1)),
    ]
    assert error.problems[0].message == "Invalid conda package dependency specification scipy=="
    assert error.problems[1].message == (
        'Invalid pypi package dependency "git+https://x.example/y" ensure it follows peps '
        "https://peps.python.org/pep-0508/ and https://peps.python.org/pep-0440/"
    )
    assert "scipy==: " in error.hint
    assert "git+https://x.example/y: a URL needs a name before it" in error.hint


def test_what_lies_beside_the_file_is_not_there() -> None:
    for line in ("-r other.txt", "-c limits.txt", "-e .", "./wheel.whl"):
        error = refusal(json.dumps({"name": "a", "dependencies": ["python", {"pip": ["six", line]}]}))
        assert error.problems[0].path == ("dependencies", 1, "pip", 1)
        assert error.hint == f"{line}: the service has no other file than this one: write what is in that file here"


def test_a_variable_has_a_name_that_a_shell_can_set() -> None:
    text = 'name: a\nvariables:\n  GOOD_1: x\n  "A B": y\n  1X: z\n  my-var: 1\n'
    error = refusal(text)
    assert [(problem.line, problem.path) for problem in error.problems] == [
        (4, ("variables", "A B")),
        (5, ("variables", "1X")),
        (6, ("variables", "my-var")),
    ]
    assert "letters, digits and `_`" in error.hint


@pytest.mark.parametrize(
    ("entry", "is_refused"),
    [
        ("https://ada:secret@conda.example/main", True),
        ("https://conda.example/t/to-ken/main", True),
        ("HTTPS://conda.example/main", False),
        ("conda-forge/label/test", False),
    ],
)
def test_credentials_in_a_channel_are_refused(entry: str, is_refused: bool) -> None:
    for text in (f"name: a\nchannels:\n  - {entry}\n", f"name: a\n\ndependencies: ['{entry}::zlib']\n"):
        if not is_refused:
            assert read(text)
            continue
        error = refusal(text)
        assert "holds credentials" in error.message
        assert "secret" not in str(error)
        assert "to-ken" not in str(error)
        assert error.problems[0].line == 3


@pytest.mark.parametrize(
    "entry",
    [
        "zlib[channel=https://ada:secret@conda.example/main]",
        "https://ada:secret@conda.example/noarch/zlib-1.0-0.conda",
        "https://conda.example/t/secret/noarch/zlib-1.0-0.conda",
        "zlib[url='https://ada:secret@conda.example/noarch/zlib-1.0-0.conda']",
        "https://ada:secret@[/x::zlib",
        "https://ada:secret@a b",
        {"pip": ["six @ https://ada:secret@a.example/six-1.0-py3-none-any.whl"]},
        {"pip": ["--index-url https://ada:secret@a.example/simple"]},
        {"pip": ["--extra-index-url=https://secret@a.example/simple"]},
        {"pip": ["six @ git+ssh://ada:secret@a.example/six"]},
    ],
)
def test_credentials_in_a_dependency_are_refused_and_not_repeated(entry: object) -> None:
    error = refusal(json.dumps({"name": "a", "dependencies": ["one ==", entry]}))
    assert "secret" not in str(error)
    assert len(error.problems) == 2


def test_a_package_is_not_named_by_its_url() -> None:
    for entry in ("https://conda.example/noarch/zlib-1.0-0.conda", "/tmp/zlib-1.0-0.conda", "zlib[url=file:///x]"):
        error = refusal(json.dumps({"name": "a", "dependencies": [entry]}))
        assert "only in a lock or an explicit list" in error.hint


def test_a_user_of_ssh_is_no_secret() -> None:
    assert read(json.dumps({"name": "a", "dependencies": [{"pip": ["six @ git+ssh://git@a.example/six"]}]}))


def test_a_pip_option_that_is_not_supported() -> None:
    error = refusal(ENVIRONMENT.replace("--extra-index-url", "--find-links"))
    assert error.problems[0].message == (
        "Invalid pip option '--find-links https://pypi.example/simple' supported options are "
        "['--index-url', '--extra-index-url', '--trusted-host']"
    )
    assert error.problems[0].line == 8


@pytest.mark.parametrize(
    ("line", "is_accepted"),
    [
        ("--index-url=https://a.example", True),
        ("--trusted-host a.example", True),
        ("--index-url", False),
        ("--index-urls https://a.example", False),
        ('"--index-url https://a.example\\n-r /etc/passwd"', False),
        ("name @ git+https://a.example/b", True),
        ("numpy>=1; python_version<'3.12'", True),
        ("-r other.txt", False),
        ("../directory", False),
    ],
)
def test_pip_lines(line: str, is_accepted: bool) -> None:
    text = f"name: x\ndependencies:\n  - pip:\n    - {line}\n"
    if is_accepted:
        assert len(solvable(text).pip or ()) == 1
    else:
        assert refusal(text).problems[0].line == 4


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: x\nname: y\n", 2),
        ("name: x\nchannels: [a\n", 3),
        ("name: x\ndependencies:\n\t- python\n", 3),
        ("name: x\nchannels: a: b\n", 2),
        ("name: x\n---\nname: y\n", 2),
        ("name: &a [*a]\n", 1),
        ("name: !!python/object:os.system x\n", 1),
        ("name: x\nchannels: *nowhere\n", 2),
        ("name: x\nchannels: `a`\n", 2),
        ("name: x\nvariables:\n  A: " + "9" * 5000 + "\n", 3),
        ("name: x\n? [a]\n: b\n", 2),
    ],
)
def test_yaml_that_cannot_be_read(text: str, line: int) -> None:
    error = refusal(text)
    assert error.message.splitlines()[0] == FIRST_LINE
    assert f"line {line}" in error.message
    assert error.problems[0].line == line


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"name: \xff\xfe", "UTF-8"),
        (b"name: x\nchannels:\n- \x00", "character"),
        (b"[" * 200_000, "nested"),
        (b'{"a":' * 200_000, "nested"),
        (b'{"name": "x", "name": "y"}', "twice"),
        (b'{"name": "x", "variables": {"A": NaN}}', "NaN"),
        (b'{"name": "x", "description": "\\ud800"}', "half a character"),
        (b'{"name": "x", "description": "\\u0000"}', "NUL"),
    ],
)
def test_text_that_is_refused(text: bytes, word: str) -> None:
    error = refusal(text)
    assert error.message.splitlines()[0] == FIRST_LINE
    assert word in error.message


def test_aliases_are_read_but_no_bomb() -> None:
    assert solvable("name: x\nchannels: &c [a, b]\nvariables: {A: 1}\n").channels == ("a", "b")
    levels = "\n".join(f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]" for level in range(1, 10))
    error = refusal(f"name: x\nl0: &l0 [a, a, a, a, a, a, a, a, a, a]\n{levels}\n")
    assert "unfold to too many values" in error.message


def test_a_text_of_more_than_the_limit() -> None:
    error = refusal(b"name: x\n# " + b"a" * (11 * 1024**2))
    assert "10,485,760" in error.message


@pytest.mark.parametrize("text", ["", "# only a comment\n", "[]", "text", "null"])
def test_what_is_no_mapping(text: str) -> None:
    assert "Input should be a valid dictionary or object" in str(refusal(text, "environment.yaml"))


def test_a_date_stays_text() -> None:
    assert solvable("name: 2024-01-01").name == "2024-01-01"


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "ä", "x" * 256, "a b", ""])
def test_names_that_are_none(name: str) -> None:
    assert refusal(json.dumps({"name": name})).problems[0].path == ("name",)


# --- conda-lock ---------------------------------------------------------------------------------------------


def package(name: str = "tool", **changes: object) -> dict[str, object]:
    entry = {
        "name": name,
        "version": "1.0",
        "manager": "conda",
        "platform": "linux-64",
        "dependencies": {"python": ">=3.9"},
        "url": f"{CHANNEL}/noarch/{name}-1.0-py_0.conda",
        "hash": {"md5": "0" * 32, "sha256": "0" * 64},
        "category": "main",
        "optional": False,
    }
    return {key: value for key, value in (entry | changes).items() if value is not ...}


def lock_document(*packages: dict[str, object], **changes: object) -> dict[str, object]:
    document = {
        "version": 1,
        "metadata": {
            "content_hash": {"linux-64": "abc"},
            "channels": [{"url": CHANNEL, "used_env_vars": []}],
            "platforms": ["linux-64"],
            "sources": ["environment.yaml"],
        },
        "package": list(packages) or [package()],
    }
    return {key: value for key, value in (document | changes).items() if value is not ...}


@pytest.mark.parametrize("form", [None, "conda-lock", "lockfile"])
@pytest.mark.parametrize("as_yaml", [True, False])
def test_a_lock_is_kept_as_it_was_handed_in(form: str | None, as_yaml: bool) -> None:
    pip = package(
        "requests",
        manager="pip",
        url="https://files.example/requests-1.0-py3-none-any.whl",
        hash={"sha256": "1" * 64},
        dependencies={"idna": ">=2,<4", "certifi": "*"},
    )
    document = lock_document(package(), pip)
    text = yaml.safe_dump(document, sort_keys=False) if as_yaml else json.dumps(document)
    specification = read(text, form, "locked")
    assert isinstance(specification, LockfileSpecification)
    assert specification.lockfile == document
    lock = lock_from_document(specification.lockfile)
    assert lock.document == document
    assert lock_to_document(lock, lock.digest) == document
    assert lock.channels == (CHANNEL,)
    (platform,) = lock.platforms
    assert platform.conda == (
        CondaPackage(
            name="tool",
            version="1.0",
            build="py_0",
            subdir="noarch",
            url=f"{CHANNEL}/noarch/tool-1.0-py_0.conda",
            channel=CHANNEL,
            md5="0" * 32,
            sha256="0" * 64,
            depends=("python >=3.9",),
            noarch="python",
        ),
    )
    assert platform.pypi[0].hashes == ("sha256:" + "1" * 64,)
    assert platform.pypi[0].requires == ("idna>=2,<4", "certifi")


def test_a_lock_without_a_version_is_version_one() -> None:
    assert isinstance(read(json.dumps(lock_document(version=...)), name="x"), LockfileSpecification)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (lock_document(version=2), ("version",)),
        (lock_document(extra=1), ("extra",)),
        (lock_document(metadata=...), ("metadata",)),
        (lock_document(package={}), ("package",)),
        (lock_document(package(version=1.1)), ("package", 0, "version")),
        (lock_document(package(manager="npm")), ("package", 0, "manager")),
        (lock_document(package(surprise=1)), ("package", 0, "surprise")),
        (lock_document(package(platform="amiga")), ("package", 0, "platform")),
        (lock_document(package(hash={"md5": "xyz"})), ("package", 0, "hash", "md5")),
        (lock_document(package(hash=...)), ("package", 0, "hash")),
        (lock_document(package(dependencies=[])), ("package", 0, "dependencies")),
        (lock_document(package(), package(url="ftp://a.example/noarch/tool-1.0-0.conda")), ("package", 1, "url")),
        (lock_document(package(url="https://ann:pw@a.example/noarch/tool-1.0-0.conda")), ("package", 0, "url")),
        (lock_document(package(url="https://a.example/t/tk-1/c/noarch/tool-1.0-0.conda")), ("package", 0, "url")),
        (lock_document(package(url="https://a.example/noarch/..%2F..%2Fetc-1-0.conda")), ("package", 0, "url")),
        (lock_document(package(url="https://a.example/noarch/tool.zip")), ("package", 0, "url")),
    ],
)
@pytest.mark.parametrize("as_yaml", [True, False])
def test_a_lock_that_is_not_in_the_format(document: dict[str, object], path: tuple[object, ...], as_yaml: bool) -> None:
    text = yaml.safe_dump(document, sort_keys=False) if as_yaml else json.dumps(document, indent=1)
    error = refusal(text, "conda-lock", "locked")
    (problem,) = error.problems
    assert problem.path == path
    assert problem.line is not None
    assert "pw@" not in str(error)
    if path[-1] in document or path[-1] in ("url", "manager", "platform"):
        assert str(path[-1]) in text.splitlines()[problem.line - 1]


def test_a_lock_needs_a_name() -> None:
    assert refusal(json.dumps(lock_document()), "conda-lock").problems[0].path == ("name",)


# --- explicit lists -----------------------------------------------------------------------------------------


def test_an_explicit_list() -> None:
    text = f"""\
# This file may be used to create an environment
# platform: osx-arm64
@EXPLICIT
{CHANNEL}/osx-arm64/python-3.11.9-h955ad1f_0.conda#{"a" * 32}
{CHANNEL}/noarch/tzdata-2024a-h0c530f3_0.tar.bz2#sha256:{"b" * 64}
"""
    specification = read(text, name="listed")
    assert isinstance(specification, LockfileSpecification)
    (platform,) = lock_from_document(specification.lockfile).platforms
    assert platform.platform is Platform.OSX_ARM64
    assert [(p.name, p.version, p.build, p.md5, p.sha256) for p in platform.conda] == [
        ("python", "3.11.9", "h955ad1f_0", "a" * 32, None),
        ("tzdata", "2024a", "h0c530f3_0", None, "b" * 64),
    ]
    assert read(json.dumps(specification.lockfile), "conda-lock", "listed") == specification


def test_the_pip_part_of_an_explicit_list_stands_in_comments() -> None:
    digest = "c" * 64
    text = f"""\
# platform: linux-64
@EXPLICIT
{CHANNEL}/linux-64/python-3.11.9-h955ad1f_0.conda#{"a" * 32}
# to be installed with pip:
# pip six @ https://files.example/six-1.16.0-py2.py3-none-any.whl --hash=sha256:{digest}
# pip old @ https://files.example/old-2.0.tar.gz
# pip own @ git+https://git.example/own@0123abc
# pip is not meant here
"""
    specification = read(text, name="listed")
    assert isinstance(specification, LockfileSpecification)
    (platform,) = lock_from_document(specification.lockfile).platforms
    assert [package.name for package in platform.conda] == ["python"]
    assert [(p.name, p.version, p.hashes) for p in platform.pypi] == [
        ("old", "2.0", ()),
        ("own", "0123abc", ()),
        ("six", "1.16.0", (f"sha256:{digest}",)),
    ]
    assert lock_from_document(specification.lockfile).channels == (CHANNEL,)


@pytest.mark.parametrize(
    "line",
    [
        "# pip six @ https://ann:pw@files.example/six-1.16.0-py2.py3-none-any.whl",
        "python=3.11",
        "/tmp/python-3.11-0.conda",
        f"{CHANNEL}/linux-64/python.conda",
        "https://ann:pw@a.example/noarch/tool-1.0-0.conda",
        f"{CHANNEL}/noarch/tool-1.0-0.conda#zzz",
    ],
)
def test_an_explicit_list_with_a_bad_line(line: str) -> None:
    error = refusal(f"@EXPLICIT\n{CHANNEL}/noarch/good-1.0-0.conda\n{line}\n", name="listed")
    assert [problem.line for problem in error.problems] == [3]


# --- requirements.txt ---------------------------------------------------------------------------------------


def test_requirements() -> None:
    text = """\
# needed
--index-url https://pypi.example/simple
-i https://other.example/simple
requests[socks] >= 2.31 ; python_version >= "3.9"  # for the web
numpy==1.26.4 \\
    --hash=sha256:0123
"""
    specification = solvable(text, name="pinned")
    assert specification.dependencies == ("python",)
    assert specification.pip == (
        "--index-url https://pypi.example/simple",
        "--index-url https://other.example/simple",
        'requests[socks] >= 2.31 ; python_version >= "3.9"',
        "numpy==1.26.4",
    )


@pytest.mark.parametrize(("line", "number"), [("-r base.txt", 2), ("-e .", 2), ("--find-links x", 2), ("a b c", 2)])
def test_requirements_with_a_bad_line(line: str, number: int) -> None:
    error = refusal(f"requests\n{line}\n", "requirements.txt", "pinned")
    assert error.problems[0].line == number


# --- pixi ---------------------------------------------------------------------------------------------------

PIXI = """\
[workspace]
name = "pixie"
channels = ["conda-forge", { channel = "bioconda", priority = 1 }]
platforms = ["linux-64"]

[dependencies]
python = "3.11.*"
numpy = { version = ">=1.26", build = "py311*", channel = "conda-forge" }
scipy = "*"

[pypi-dependencies]
requests = ">=2"
flask = { version = "*", extras = ["async"] }
black = "23.1.0"
tool = { git = "https://git.example/tool", rev = "abc" }

[activation.env]
MODE = "fast"

[system-requirements]
cuda = "12.4"

[feature.test.dependencies]
pytest = "*"
scipy = "1.11.*"

[feature.lonely.dependencies]
ruff = "*"

[environments]
test = ["test"]
lonely = { features = ["lonely"], no-default-feature = true }
"""


def test_the_default_environment_of_a_pixi_manifest() -> None:
    specification = solvable(PIXI)
    assert specification.name == "pixie"
    assert specification.channels == ("conda-forge", "bioconda")
    assert specification.dependencies == (
        "python 3.11.*",
        'conda-forge::numpy[version=">=1.26", build="py311*"]',
        "scipy",
    )
    assert specification.pip == (
        "requests>=2",
        "flask[async]",
        "black==23.1.0",
        "tool @ git+https://git.example/tool@abc",
    )
    assert specification.variables == {"MODE": "fast", "CONDA_OVERRIDE_CUDA": "12.4"}


def test_another_environment_of_a_pixi_manifest() -> None:
    assert solvable(PIXI, "pixi.toml:test").dependencies[2:] == ("pytest", "scipy 1.11.*")
    assert solvable(PIXI, "pixi.toml:lonely", "own").dependencies == ("ruff",)
    assert "It has default, test, lonely" in str(refusal(PIXI, "pixi.toml:nope"))


def test_targets_of_a_pixi_manifest() -> None:
    here = current_platform().value
    text = f'{PIXI}\n[target.{here}.dependencies]\nhere = "*"\n[target.win-arm64.dependencies]\nno = "*"'
    dependencies = solvable(text).dependencies
    assert "here" in dependencies
    assert "no" not in dependencies


@pytest.mark.parametrize(
    "lines",
    ['[dependencies]\na = { path = "x" }', '[pypi-dependencies]\na = { path = "x" }', '[dependencies]\na = ">>1"'],
)
def test_a_pixi_manifest_that_cannot_be_taken(lines: str) -> None:
    assert refusal(f'[workspace]\nname = "x"\nchannels = []\n{lines}\n', "pixi.toml").problems


def test_toml_that_cannot_be_read() -> None:
    assert "Invalid TOML" in refusal("[workspace\n", "pixi.toml").message


def example_lock() -> Lock:
    conda = CondaPackage(
        name="python",
        version="3.11.9",
        build="h955ad1f_0",
        subdir="linux-64",
        url=f"{CHANNEL}/linux-64/python-3.11.9-h955ad1f_0.conda",
        channel=CHANNEL,
        build_number=0,
        md5="a" * 32,
        sha256="b" * 64,
        size=100,
        depends=("libzlib >=1.2", "__glibc >=2.17"),
        license="Python-2.0",
        timestamp=1_700_000_000_000,
    )
    pypi = PyPIPackage(
        "requests", "2.31.0", "https://files.example/requests-2.31.0-py3-none-any.whl", ("sha256:" + "c" * 64,)
    )
    mac = CondaPackage(
        name="tzdata",
        version="2024a",
        build="0",
        subdir="noarch",
        url=f"{CHANNEL}/noarch/tzdata-2024a-0.conda",
        channel=CHANNEL,
        sha256="d" * 64,
        noarch="generic",
    )
    return Lock(
        (CHANNEL,),
        (PlatformLock(Platform.LINUX_64, (conda,), (pypi,)), PlatformLock(Platform.OSX_ARM64, (mac,))),
    )


def test_a_pixi_lock_written_and_read_back() -> None:
    lock = example_lock()
    text = write_pixi_lock(lock)
    assert f"sha256: {'c' * 64}" in text
    specification = read(text, name="from-pixi")
    assert isinstance(specification, LockfileSpecification)
    again = lock_from_document(specification.lockfile)
    assert again.channels == lock.channels
    linux, mac = again.platforms
    assert (linux.platform, mac.platform) == (Platform.LINUX_64, Platform.OSX_ARM64)
    assert linux.conda[0].url == lock.platforms[0].conda[0].url
    assert linux.conda[0].sha256 == "b" * 64
    assert linux.pypi == lock.platforms[0].pypi
    assert mac.conda[0].sha256 == "d" * 64


def test_a_pixi_lock_of_files_on_disk() -> None:
    lock = example_lock()
    (conda,), (pypi,) = lock.platforms[0].conda, lock.platforms[0].pypi
    conda = replace(conda, url=f"file:///srv/main/linux-64/{conda.file_name}", channel="file:///srv/main")
    pypi = replace(pypi, url="file:///srv/wheels/requests-2.31.0-py3-none-any.whl")
    text = write_pixi_lock(Lock(("file:///srv/main",), (PlatformLock(Platform.LINUX_64, (conda,), (pypi,)),)))
    specification = read(text, name="from-pixi")
    assert isinstance(specification, LockfileSpecification)
    again = lock_from_document(specification.lockfile).platforms[0]
    assert (again.conda[0].url, again.conda[0].channel) == (conda.url, conda.channel)
    assert again.pypi == (pypi,)


@pytest.mark.parametrize(
    "text", ["version: 6\nenvironments: {}\npackages: []\n", "version: 99\nenvironments:\n  default: 1\npackages: 2\n"]
)
def test_a_pixi_lock_that_cannot_be_read(text: str) -> None:
    error = refusal(text, "pixi.lock", "x")
    assert "pixi.lock" in error.message
    assert "/tmp" not in error.message


# --- which form ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (ENVIRONMENT, "environment.yaml"),
        (PIXI, "pixi.toml"),
        ("# x\n@EXPLICIT\nhttps://a", "explicit"),
        ("numpy>=1\nscipy\n", "requirements.txt"),
        ("--index-url https://a.example\nnumpy\n", "requirements.txt"),
        ("version: 6\nenvironments:\n  default:\npackages:\n- conda: x", "pixi.lock"),
        ("metadata:\n  platforms: []\npackage: []\nversion: 1", "conda-lock"),
        ('{"version": 1, "metadata": {}, "package": []}', "conda-lock"),
        ('{"name": "x"}', "environment.yaml"),
        ("", "environment.yaml"),
        ("name: x", "environment.yaml"),
    ],
)
def test_the_form_is_found_out(text: str, form: str) -> None:
    assert formats.detect(text) == form


def test_an_unknown_form() -> None:
    assert "Formats are environment.yaml" in str(refusal("name: x", "docx"))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::DeprecationWarning")
def test_conda_lock_itself_reads_our_document(tmp_path: Path) -> None:
    from conda_lock.lockfile import parse_conda_lock_file

    full = example_lock()
    lock = Lock(full.channels, full.platforms[:1])
    path = tmp_path / "conda-lock.yml"
    path.write_text(json.dumps(lock_to_document(lock, lock.digest)))
    parsed = parse_conda_lock_file(path)
    assert {(package.name, package.manager) for package in parsed.package} == {("python", "conda"), ("requests", "pip")}
