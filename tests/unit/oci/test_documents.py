from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from conda_store.artifacts.oci.documents import (
    BaseConfig,
    ImageDescription,
    ManifestForm,
    architecture,
    image_config,
    image_manifest,
)
from conda_store.domain.image import Activation, Layer
from conda_store.domain.platform import Platform
from conda_store.errors import ArtifactFailed

LAYERS = (Layer("a" * 64, "b" * 64, 10, 20, "base"), Layer("c" * 64, "d" * 64, 30, 40, "python 3.12.1 0"))
WHOSE = ImageDescription(
    "team",
    "science",
    7,
    "key-1",
    "e" * 64,
    datetime(2026, 1, 31, 12, tzinfo=UTC),
    Platform.LINUX_64,
    has_python=True,
    variables={"HOME_OF": "us"},
)


def config(whose: ImageDescription = WHOSE, base: BaseConfig | None = None, **activation: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(image_config(whose, base or BaseConfig(), LAYERS, Activation(**activation)))
    return document


def test_the_environment_is_activated_for_every_process() -> None:
    base = BaseConfig(("PATH=/base/bin", "LANG=C", "HOME_OF=base"), user="me", working_directory="/work")
    made = config(base=base, variables={"FROM_PACKAGE": "1"})["config"]
    assert made["Env"] == [
        "PATH=/opt/conda/bin:/base/bin",
        "LANG=C",
        "HOME_OF=us",
        "CONDA_PREFIX=/opt/conda",
        "CONDA_DEFAULT_ENV=science",
        "CONDA_SHLVL=1",
        "FROM_PACKAGE=1",
    ]
    assert (made["User"], made["WorkingDir"], made["Cmd"]) == ("me", "/work", ["/bin/sh"])
    assert "Entrypoint" not in made


def test_a_path_of_the_environment_takes_the_place_of_the_bases() -> None:
    for base in (BaseConfig(), BaseConfig(("PATH=/base/bin",))):
        found = config(replace(WHOSE, variables={"PATH": "/mine"}), base)["config"]["Env"]
        assert [item for item in found if item.startswith("PATH=")] == ["PATH=/opt/conda/bin:/mine"]


def test_scripts_are_run_where_there_is_a_shell() -> None:
    assert config(has_scripts=True)["config"]["Entrypoint"] == ["/opt/conda/etc/conda-store/activated"]
    bare = config(base=BaseConfig(has_shell=False), has_scripts=True)["config"]
    assert "Entrypoint" not in bare
    assert bare["Cmd"] == ["/opt/conda/bin/python"]
    assert config(replace(WHOSE, has_python=False), BaseConfig(has_shell=False))["config"]["Cmd"] == []


def test_layers_and_history() -> None:
    made = config()
    assert made["rootfs"]["diff_ids"] == ["sha256:" + "b" * 64, "sha256:" + "d" * 64]
    assert [item["comment"] for item in made["history"]] == ["base", "python 3.12.1 0"]
    assert made["config"]["Labels"] == {
        "conda_store": "0.0.1",
        "org.opencontainers.image.title": "team/science",
        "org.opencontainers.image.source": "conda-store://team/science:7",
        "org.opencontainers.image.version": "key-1",
        "org.opencontainers.image.revision": "e" * 64,
        "org.opencontainers.image.created": "2026-01-31T12:00:00Z",
    }
    assert (made["architecture"], made["os"], made["created"]) == ("amd64", "linux", "2026-01-31T12:00:00Z")


@pytest.mark.parametrize("form", ManifestForm)
def test_a_manifest_in_each_form(form: ManifestForm) -> None:
    manifest = image_manifest(form, b"config", LAYERS, WHOSE)
    document = json.loads(manifest.content)
    assert manifest.digest == hashlib.sha256(manifest.content).hexdigest()
    assert (document["schemaVersion"], document["mediaType"]) == (2, form.value)
    assert document["config"]["digest"] == f"sha256:{hashlib.sha256(b'config').hexdigest()}"
    assert [(layer["digest"], layer["size"]) for layer in document["layers"]] == [
        ("sha256:" + "a" * 64, 10),
        ("sha256:" + "c" * 64, 30),
    ]
    assert ("annotations" in document) is (form is ManifestForm.OCI)


def test_images_are_of_linux() -> None:
    assert architecture(Platform.LINUX_AARCH64) == "arm64"
    with pytest.raises(ArtifactFailed, match="osx-64"):
        architecture(Platform.OSX_64)
