"""Pulling a base image from a registry into an OCI layout that is kept."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conda_store.artifacts.oci.layouts import image_of, save
from conda_store.artifacts.oci.logins import login_for
from conda_store.artifacts.oci.remote import DIGEST, Remote, RemoteManifest, parse_reference
from conda_store.domain.addresses import ANY_ADDRESS, AddressPolicy
from conda_store.errors import ArtifactFailed, ConfigurationError

_HINT = "Or name another image, an OCI layout or a tar: c.CondaStore.default_docker_base_image."


def pulled_layout(
    text: str,
    architecture: str,
    kept: Path,
    logins: Path | None = None,
    addresses: AddressPolicy = ANY_ADDRESS,
    scratch: Path | None = None,
) -> Path:
    """The OCI layout of an image below `kept`, pulled unless it is there, by way of `scratch` on the same file system
    (`kept` itself where there is none); `logins` is a file as for `login_for`, `addresses` says which registries may be
    asked.

    Raises:
        ArtifactFailed: it cannot be had.
    """
    reference = parse_reference(text)
    if reference is None:
        raise ArtifactFailed(f"{text!r} is no name of an image")
    target = kept / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}-{architecture}"
    if (target / "index.json").exists():
        return target
    partial = (scratch or kept) / f".{target.name}.{uuid.uuid4().hex[:8]}"
    try:
        login = login_for(logins, reference.host) if logins is not None else None
        source = Remote(reference.url, reference.name, login, addresses=addresses)
        found = _fitting(source, source.manifest(reference.target), architecture)
        save(source, image_of(found, source.manifest), partial, "base")
        kept.mkdir(parents=True, exist_ok=True)
        try:
            partial.rename(target)
        except OSError:  # somebody else has just pulled it
            if not (target / "index.json").exists():
                raise
    except (ArtifactFailed, ConfigurationError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else getattr(error, "message", error)
        raise ArtifactFailed(
            f"the base image {text!r} cannot be pulled: {reason}",
            hint=f"{getattr(error, 'hint', '')} {_HINT}".strip(),
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _fitting(source: Remote, found: RemoteManifest, architecture: str) -> RemoteManifest:
    """Of an index the image for the architecture."""
    try:
        document: Mapping[str, Any] = json.loads(found.content)
        if "manifests" not in document:
            return found
        for item in document["manifests"]:
            platform = item.get("platform") or {}
            is_fitting = platform.get("architecture") == architecture and platform.get("os") == "linux"
            if is_fitting and DIGEST.fullmatch(item["digest"]):
                return source.manifest(item["digest"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactFailed(f"{source.host} has no image under the name {source.name}: {error}") from error
    raise ArtifactFailed(f"it is not there for {architecture}")
