"""The pull side of the OCI distribution specification 1.1: every environment as an image."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from conda_store.artifacts.oci.documents import INDEX_TYPES, ManifestForm
from conda_store.db.images import ManifestRecord
from conda_store.db.records import EnvironmentRecord
from conda_store.domain.artifact import layer_blob_key
from conda_store.domain.image import Compression
from conda_store.domain.on_demand import is_on_demand, parse_until
from conda_store.errors import Forbidden
from conda_store.server.parts import Call, Caller
from conda_store.server.registry.answers import VERSION, Refusal, challenge, registry_router
from conda_store.server.rendering import JSON
from conda_store.server.serving import blob_answer, is_known
from conda_store.server.waiting import until_made
from conda_store.services import images, on_demand
from conda_store.services.images import ImageRequest
from conda_store.storage.blobs import BlobInfo

router = registry_router()

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_WEIGHT = re.compile(r"[01](\.[0-9]{0,3})?")
_NUMBER = re.compile(r"[0-9]{1,9}")
_MOST_TAGS = 10_000
_SHORTEST = 3  # slashes in <namespace>/<environment>/manifests/<tag>
_NAMES = "images are named <namespace>/<environment>"


@router.api_route("/v2/", methods=["GET", "HEAD"])
def get_version(request: Request) -> Response:
    """Whether this is a registry, and whether the client has to log in: it always is told how."""
    if "authorization" not in request.headers:
        raise challenge(request)
    return JSON({}, headers=VERSION)


@router.api_route("/v2/{name:path}/manifests/{reference}", methods=["GET", "HEAD"])
async def get_manifest(call: Caller, name: str, reference: str, request: Request) -> Response:
    """The manifest under a tag or digest. An image that nobody has asked for yet is made first."""
    wanted = _wanted_forms(request)
    change = call.parts.watcher.next_change()
    asked, state = await run_in_threadpool(_asked, call, name, reference, wanted, request)
    manifest = state.manifest or await _made(call, request, asked, wanted, change)
    return _manifest(request, manifest)


@router.api_route("/v2/{name:path}/blobs/{digest}", methods=["GET", "HEAD"])
async def get_blob(call: Caller, name: str, digest: str, request: Request) -> Response:
    """A layer or the configuration of an image. Where the storage can sign URLs: a redirect to it."""
    info, signed = await run_in_threadpool(_found_blob, call, name, digest, request)
    if signed is not None:
        return RedirectResponse(signed, headers={**VERSION, "Cache-Control": "no-store"})
    headers = {
        **VERSION,
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Cache-Control": "private, max-age=31536000, immutable",
    }
    return blob_answer(call.context.blobs, request, info, "application/octet-stream", headers)


def _found_blob(call: Call, name: str, digest: str, request: Request) -> tuple[BlobInfo, str | None]:
    """A blob that the caller may have, and a signed URL of it where the storage can do that."""
    repository = _repository(call, name, request)
    wanted = _hex(digest)
    blobs = call.context.blobs
    known = images.blob_size(call.context, repository, wanted) is not None
    info = blobs.head(layer_blob_key(wanted)) if known else None
    if info is None:
        raise Refusal("BLOB_UNKNOWN")
    return info, blobs.sign(info.key, call.options.signed_url_lifetime)


@router.api_route("/v2/{name:path}/tags/list", methods=["GET", "HEAD"])
def get_tags(call: Caller, name: str, request: Request) -> Response:
    """`latest` and the keys of all builds; `n` of them behind the tag `last`."""
    tags = images.list_tags(call.context, _repository(call, name, request))
    last = request.query_params.get("last", "")
    number = _number(request.query_params.get("n"))
    behind = [tag for tag in tags if tag > last] if last else list(tags)
    shown = behind[:number]
    headers = dict(VERSION)
    if len(shown) < len(behind) and shown:
        headers["Link"] = f'</v2/{quote(name)}/tags/list?n={number}&last={quote(shown[-1])}>; rel="next"'
    return JSON({"name": name, "tags": shown}, headers=headers)


@router.api_route("/v2/{name:path}/referrers/{digest}", methods=["GET", "HEAD"])
def get_referrers(call: Caller, name: str, digest: str, request: Request) -> Response:
    """What refers to an image: nothing does."""
    _repository(call, name, request)
    _hex(digest)
    media_type = "application/vnd.oci.image.index.v1+json"
    content = {"schemaVersion": 2, "mediaType": media_type, "manifests": []}
    answer = JSON(content, headers=VERSION)
    answer.headers["Content-Type"] = media_type
    return answer


@router.api_route("/v2/{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def refuse(rest: str, request: Request) -> Response:
    """Images are made of environments: nothing can be pushed, changed or deleted here."""
    if request.method not in {"GET", "HEAD"}:
        said = "images are made of environments, nothing can be pushed here"
        raise Refusal("UNSUPPORTED", said, headers={"Allow": "GET, HEAD"})
    if rest.count("/") < _SHORTEST:
        raise Refusal("UNSUPPORTED", _NAMES)
    raise Refusal("NAME_UNKNOWN")


@dataclass(frozen=True)
class _Asked:
    """Which image is asked for; there is no build 0."""

    build_id: int
    compression: Compression = Compression.GZIP


def _asked(
    call: Call, name: str, reference: str, forms: Sequence[str], request: Request
) -> tuple[_Asked, ImageRequest]:
    """What a tag or digest means (no build for a digest), and the manifest if it is there; else it is asked for."""
    offers_zstd = call.context.deployment.offers_zstd_images
    shorter = reference.removesuffix(images.ZSTD_SUFFIX) if offers_zstd else reference
    zstd = Compression.GZIP if shorter == reference else Compression.ZSTD
    until = parse_until(shorter) if is_on_demand(name) else None
    if until is not None or (is_on_demand(name) and shorter == images.LATEST):
        _refuse_pages(request)
        with _challenging(call, name, request):
            wanted = on_demand.request_build(call.context, call.actor, name, until)
        return _requested(call, _Asked(wanted, zstd), forms)
    repository = _repository(call, name, request)
    if ":" in reference:
        found = images.manifest_by_digest(call.context, repository, _hex(reference))
        if found is None:
            raise Refusal("MANIFEST_UNKNOWN")
        return _Asked(0), ImageRequest(found)
    # the key of a build may end like this too
    if tagged := images.find_tagged(call.context, repository, reference):
        return _requested(call, _Asked(tagged), forms)
    if zstd is Compression.ZSTD and (tagged := images.find_tagged(call.context, repository, shorter)):
        return _requested(call, _Asked(tagged, zstd), forms)
    raise Refusal("MANIFEST_UNKNOWN", f"{name} has no tag {reference[:128]}")


def _requested(call: Call, asked: _Asked, forms: Sequence[str]) -> tuple[_Asked, ImageRequest]:
    if asked.compression is Compression.ZSTD and ManifestForm.OCI.value not in forms:
        raise Refusal("MANIFEST_UNKNOWN", "layers in zstd are in OCI manifests only, which the client does not take")
    return asked, images.request_image(call.context, asked.build_id, forms, asked.compression, retries=True)


def _refuse_pages(request: Request) -> None:
    """Pages of other sites may not set the server to work through somebody's browser."""
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        raise Refusal("DENIED", "pages of other sites may not ask for images")


@contextmanager
def _challenging(call: Call, name: str, request: Request) -> Iterator[None]:
    """Who may not, and has not said who they are, is asked to."""
    try:
        yield
    except Forbidden:
        if call.actor.is_authenticated:
            raise
        raise challenge(request, scope=f"repository:{quote(name)}:pull", error=_error(request)) from None


def _repository(call: Call, name: str, request: Request) -> EnvironmentRecord:
    if "/" not in name:
        raise Refusal("UNSUPPORTED", _NAMES)
    with _challenging(call, name, request):
        found = images.find_repository(call.context, call.actor, name)
    if found is None:
        raise Refusal("NAME_UNKNOWN", f"there is no environment {name}, or you may not see it")
    return found


def _error(request: Request) -> str:
    return "insufficient_scope" if "authorization" in request.headers else ""


async def _made(
    call: Call, request: Request, asked: _Asked, forms: tuple[str, ...], change: asyncio.Event
) -> ManifestRecord:
    """Wait until an image that was asked for is there. `change` was taken before it was asked for."""

    def look() -> ManifestRecord | None:
        return images.request_image(call.context, asked.build_id, forms, asked.compression).manifest

    return await until_made(call, request, change, "the image", (asked, forms), look)


def _wanted_forms(request: Request) -> tuple[str, ...]:
    """OCI's where the client takes it as gladly as Docker's, and an index of it; clients send several header lines.
    Of who names neither, the index that they take tells."""
    weights = _accepted(",".join(request.headers.getlist("accept")))
    oci, docker = (weights.get(form.value, 0.0) for form in (ManifestForm.OCI, ManifestForm.DOCKER))
    if not oci and not docker:
        oci, docker = (weights.get(INDEX_TYPES[form], 0.0) for form in (ManifestForm.OCI, ManifestForm.DOCKER))
    form = ManifestForm.OCI if oci > 0 and oci >= docker else ManifestForm.DOCKER
    return (INDEX_TYPES[form], form.value) if weights.get(INDEX_TYPES[form]) else (form.value,)


def _accepted(header: str) -> dict[str, float]:
    """How gladly a client takes the types that it lists: from 0, not at all, to 1 (RFC 9110, 12.5.1)."""
    weights = {}
    for item in header.lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        weight = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "")
        weights[media_type] = float(weight) if _WEIGHT.fullmatch(weight) else 1.0
    return weights


def _manifest(request: Request, manifest: ManifestRecord) -> Response:
    digest = f"sha256:{manifest.digest}"
    headers = {
        **VERSION,
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Content-Length": str(len(manifest.content)),
        "Cache-Control": "private, no-cache",
        "Vary": "Accept",
    }
    if is_known(request, headers["ETag"]):
        return Response(status_code=304, headers={**headers, "Content-Length": "0"})
    body = b"" if request.method == "HEAD" else manifest.content
    return Response(body, headers=headers, media_type=manifest.media_type)


def _hex(digest: str) -> str:
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise Refusal("DIGEST_INVALID", "digests look like sha256:<64 hexadecimal digits>")
    return match[1]


def _number(text: str | None) -> int:
    if text is None:
        return _MOST_TAGS
    if _NUMBER.fullmatch(text) is None:
        raise Refusal("PAGINATION_NUMBER_INVALID")
    return min(int(text), _MOST_TAGS)
