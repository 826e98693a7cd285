"""`conda-store image`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from conda_store.cli.connecting import Asked
from conda_store.cli.output import binary_size, printable
from conda_store.errors import InvalidInput

if TYPE_CHECKING:
    from conda_store.artifacts.oci.layouts import Image, Moved
    from conda_store.artifacts.oci.remote import Login, Remote


@click.group()
def image() -> None:
    """Save an environment's image to a directory, or push it to a registry.

    An image is named `<namespace>/<name>` (the active build), `<namespace>/<name>:<build-id>`, or after packages:
    `conda-store-dynamic/python.lt.3.13/numpy`. It is made if it is not there yet.
    """


@image.command()
@click.argument("name")
@click.option(
    "--output", "-o", "directory", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIRECTORY",
    help="The OCI layout; what it holds already stays.",
)  # fmt: skip
@click.pass_obj
def save(asked: Asked, name: str, directory: Path) -> None:
    """Write the image NAME to an OCI layout, and print its digest."""
    from conda_store.artifacts.oci.layouts import save as write

    source, tag = _source(asked, name)
    found = _image(source, tag)
    _tell(write(source, found, directory, tag), f"saved to {directory}")
    click.echo(found.top.digest)


@image.command()
@click.argument("name")
@click.argument("reference")
@click.option("--username", "-u", metavar="NAME", help="Log in under this name, with --password-stdin.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option(
    "--mount-from", metavar="REPOSITORY",
    help="A repository of the same registry that may have layers of the image: they are taken over from there.",
)  # fmt: skip
@click.pass_obj
def push(
    asked: Asked, name: str, reference: str, username: str | None, password_stdin: bool, mount_from: str | None
) -> None:
    """Push the image NAME to another registry, and print its digest. What is there already is not sent.

    REFERENCE is as for `docker push`: `ghcr.io/team/science:1`. Without --username the login is that of `docker login`
    or `podman login`.
    """
    from conda_store.artifacts.oci.layouts import push as send
    from conda_store.artifacts.oci.remote import Remote, parse_reference

    parsed = parse_reference(reference)
    if parsed is None or parsed.target.startswith("sha256:"):
        raise InvalidInput(
            f"{reference!r} names no image in a registry", hint="It looks like registry.example/team/name:tag."
        )
    source, tag = _source(asked, name)
    target = Remote(parsed.url, parsed.name, _login(parsed.host, username, password_stdin))
    found = _image(source, tag)
    mounts = {blob.digest: mount_from for blob in found.blobs} if mount_from else {}
    _tell(send(found, source.blob, target, parsed.target, mounts), f"pushed to {reference}")
    click.echo(found.top.digest)


def _source(asked: Asked, name: str) -> tuple[Remote, str]:
    """The repository of an image in conda-store's registry, and the tag. The registry is at the root of the server,
    whatever prefix its other pages have."""
    from conda_store.artifacts.oci.remote import Login, Remote
    from conda_store.client.login import Password, Token
    from conda_store.client.opening import Authentication, choose_login

    authentication = Authentication(asked.auth) if asked.auth is not None else None
    url, chosen = choose_login(asked.url, authentication, os.environ)
    login: Login | None = None
    if isinstance(chosen, Token):
        login = Login("conda-store", chosen.value)
    elif isinstance(chosen, Password):
        login = Login(chosen.username, chosen.password)
    repository, _, tag = name.partition(":")
    parts = urlsplit(url)
    return Remote(f"{parts.scheme}://{parts.netloc}", repository, login, verifies_ssl=asked.verifies_ssl), (
        tag or "latest"
    )


def _image(source: Remote, tag: str) -> Image:
    from conda_store.artifacts.oci.layouts import image_of

    return image_of(source.manifest(tag), source.manifest)


def _login(host: str, username: str | None, password_stdin: bool) -> Login | None:
    from conda_store.artifacts.oci.logins import login_for
    from conda_store.artifacts.oci.remote import Login

    if (username is not None) != password_stdin:
        raise click.UsageError("--username and --password-stdin belong together.")
    if username is not None:
        return Login(username, sys.stdin.readline().rstrip("\n"))
    for file in _login_files():
        if file.is_file() and (found := login_for(file, host)):
            return found
    return None


def _login_files() -> list[Path]:
    """Where `docker login` and `podman login` write to."""
    named = [os.environ.get("REGISTRY_AUTH_FILE")]
    docker = os.environ.get("DOCKER_CONFIG") or str(Path.home() / ".docker")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    named += [f"{docker}/config.json", f"{runtime}/containers/auth.json" if runtime else None]
    return [Path(name) for name in named if name]


def _tell(moved: Moved, what: str) -> None:
    click.echo(
        printable(
            f"{what}: {moved.moved_blobs} of {moved.blobs} blobs, "
            f"{binary_size(moved.moved_size)} of {binary_size(moved.size)}"
        ),
        err=True,
    )
