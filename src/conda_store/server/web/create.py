"""Handing in a specification: typed, pasted or uploaded; what is wrong with it is shown where it was typed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from textwrap import indent
from typing import Any

import yaml
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from conda_store.db.paging import PageRequest
from conda_store.domain.channel import channel_url
from conda_store.errors import (
    BuildFailed,
    CondaStoreError,
    Conflict,
    Forbidden,
    InvalidInput,
    InvalidSpecification,
    NotFound,
    Problem,
    Unsolvable,
)
from conda_store.server.errors import status_of
from conda_store.server.parts import Call, Caller
from conda_store.server.web.environment import specification_text
from conda_store.server.web.forms import Form, Sent
from conda_store.server.web.parameters import BuildNumber
from conda_store.server.web.rendering import PageRoute, own_path, page, redirect
from conda_store.services import builds, editing, namespaces, packages, previewing, specifications, suggesting
from conda_store.services.previewing import Meant, Preview
from conda_store.services.specifications import Submission
from conda_store.services.suggesting import Suggestion

router = APIRouter(include_in_schema=False, route_class=PageRoute)

# value of the field -> what people read
FORMATS = {
    "": "Find out by itself",
    "environment.yaml": "specification (environment.yaml)",
    "conda-lock": "unified lockfile (conda-lock.yml)",
    "pixi.toml": "pixi.toml",
    "pixi.lock": "pixi.lock",
    "explicit": "explicit list (@EXPLICIT)",
    "requirements.txt": "requirements.txt",
}
_MOST_PROBLEMS = 50
# that can be chosen from, where the page has room for them
_MOST_NAMESPACES = 500
_EXAMPLE = """name: my-environment
channels:
{channels}dependencies:
  - python
  - numpy
"""


@router.get("/create/")
def get_create(request: Request, call: Caller, namespace: str = "", build: BuildNumber = None) -> Response:
    """Empty, or with the specification of a `build`."""
    fields = {"specification": "" if build is not None else _example(call, namespace), "namespace": namespace}
    others: tuple[str, ...] = ()
    edited = ""
    if build is not None:
        record, specification, _ = builds.get_build(call.context, call.actor, build)
        newest = specifications.newest_build(call.context, call.actor, record.namespace, record.environment)
        fields |= {"newest_seen": str(newest), "build": str(build), "namespace": namespace or record.namespace}
        is_lockfile = specification.is_lockfile
        fields["specification"] = specification_text(specification)
        fields["format"] = "conda-lock" if is_lockfile else ""
        fields["name"] = specification.name if is_lockfile else ""
        others = editing.note_editing(call.context, call.actor, record.namespace, record.environment)
        edited = f"{record.namespace} / {record.environment}"
    return _form(request, call, Form(fields, {}), edited=edited, others=others)


def _example(call: Call, namespace: str) -> str:
    """With the channels that are meant where none are named, so that it can be built as it stands."""
    rules = _policy(call, namespace or call.actor.primary_namespace)["rules"]
    channels = (rules.settings.conda_default_channels if rules else ()) or ("conda-forge",)
    return _EXAMPLE.format(channels=indent(yaml.safe_dump(list(channels), width=4096), "  "))


@router.post("/create/")
def post_create(request: Request, call: Caller, sent: Sent) -> Response:
    """What was typed comes back with what is wrong with it."""
    try:
        build_id = specifications.submit(call.context, call.actor, _submission(sent))
    except Conflict as error:
        # whoever submits again has been told
        return _form(request, call, _kept(sent, newest_seen=""), error)
    except (InvalidInput, Forbidden) as error:
        return _form(request, call, _kept(sent), _explained(error, sent, call))
    return redirect(own_path(call.options, "build", build_id))


@router.post("/create/check/")
def post_check(request: Request, call: Caller, sent: Sent) -> Response:
    """What is wrong so far, for a page to show while somebody types."""
    error: InvalidInput | Forbidden | None = None
    meant: Meant | None = None
    try:
        meant = previewing.check(call.context, call.actor, _submission(sent))
    except (InvalidInput, Forbidden) as refusal:
        error = _explained(refusal, sent, call)
    edited = _edited(call, sent.text("build"))
    problems = _problems(error, sent)
    return page(request, "create_problems.html", error=error, problems=problems, meant=meant, edited=edited)


@router.get("/create/policy/")
def get_policy(request: Request, call: Caller, namespace: str = "") -> Response:
    """What specifications of a namespace are held to, for the page to show beside the editor."""
    return page(request, "create_policy.html", **_policy(call, namespace))


@router.get("/create/packages/")
def get_packages(request: Request, call: Caller, package: str = "", namespace: str = "") -> Response:
    """What channels offer, from those that the namespace allows."""
    rules = _policy(call, namespace)["rules"]
    channels = None
    if rules is not None and rules.settings.conda_allowed_channels:
        alias = rules.settings.conda_channel_alias
        channels = tuple(channel_url(name, alias) for name in rules.settings.conda_allowed_channels)
    found = packages.find_packages(call.context, call.actor, package[:100], channels)
    return page(request, "create_packages.html", found=found, package=package[:100].strip())


@router.get("/create/newer/")
def get_newer(request: Request, call: Caller, build: int, newest_seen: int) -> Response:
    """What others have submitted while a build's specification was being edited, and who else is editing it."""
    record = builds.find_build(call.context, call.actor, build)
    newest = specifications.newest_build(call.context, call.actor, record.namespace, record.environment)
    newer = builds.find_build(call.context, call.actor, newest) if newest > newest_seen else None
    others = editing.note_editing(call.context, call.actor, record.namespace, record.environment)
    return page(request, "create_newer.html", newer=newer, others=others, build=build, newest_seen=newest_seen)


@router.post("/create/suggestions/")
async def post_suggestions(request: Request, call: Caller, sent: Sent) -> Response:
    """Changes that solve: below the form, or alone where a script asks."""
    submission = _submission(sent)
    found = await call.parts.background.run(suggesting.suggestions(call.context, call.actor, submission))
    text = _text(sent)
    shown = [item for item in found if suggesting.replaced(text, item) != text]
    if request.headers.get("hx-target") == "suggestions":
        return await run_in_threadpool(partial(page, request, "create_suggestions.html", suggestions=shown))
    return await run_in_threadpool(partial(_form, request, call, _kept(sent), suggestions=shown))


@router.post("/create/preview/")
async def post_preview(request: Request, call: Caller, sent: Sent) -> Response:
    """The form as it was, and below it what a build would come to."""
    error: CondaStoreError | None = None
    found: Preview | None = None
    if sent.text("change"):
        sent = _kept(sent, specification=suggesting.replaced(_text(sent), _change(sent.text("change"))))
    try:
        found = await call.parts.background.run(previewing.preview(call.context, call.actor, _submission(sent)))
    except (InvalidInput, Forbidden) as refusal:
        error = _explained(refusal, sent, call)
    except BuildFailed as refusal:
        error = refusal
    return await run_in_threadpool(_form, request, call, _kept(sent), error, found)


def _change(text: str) -> Suggestion:
    """
    Raises:
        InvalidInput: it is none of those that a page offers.
    """
    try:
        changes = [(str(before), None if after is None else str(after)) for before, after in json.loads(text)]
    except (ValueError, TypeError):
        raise InvalidInput("the change is none that was offered") from None
    return Suggestion(tuple(changes))


def _submission(sent: Form) -> Submission:
    chosen = sent.text("format")
    return Submission(
        _text(sent).encode(),
        sent.text("namespace") or None,
        chosen if chosen in FORMATS and chosen else None,
        sent.text("name") or None,
        sent.lines("description").strip() or None,
        int(seen) if (seen := sent.text("newest_seen")).isdecimal() and len(seen) < 19 else None,
    )


def _kept(sent: Form, **changed: str) -> Form:
    return Form({**sent.fields, "specification": _text(sent), **changed}, {})


def _explained(error: InvalidInput | Forbidden, sent: Form, call: Call) -> InvalidInput | Forbidden:
    if not isinstance(error, Forbidden):
        return error
    where = sent.text("namespace") or call.actor.primary_namespace
    return Forbidden(f"you may not create environments in {where!r}", hint="Choose another namespace, or log in.")


def _text(sent: Form) -> str:
    """The file, where one was chosen and no script has read it into the field."""
    typed = sent.lines("specification")
    if "file" in sent.files and sent.text("file_is_read") != "yes":
        return sent.files["file"].decode("utf-8", "replace").replace("\0", "�")
    return typed


def _form(
    request: Request,
    call: Call,
    form: Form,
    error: CondaStoreError | None = None,
    preview: Preview | None = None,
    suggestions: Sequence[Suggestion] | None = None,
    edited: str | None = None,
    others: Sequence[str] = (),
) -> Response:
    wanted = form.text("namespace") or call.actor.primary_namespace
    names, has_more = _namespaces(call, wanted)
    return page(
        request,
        "create.html",
        again=own_path(call.options, "create", namespace=wanted, build=form.text("build")),
        status_code=status_of(error) if error else 200,
        formats=FORMATS,
        namespaces=names,
        has_more_namespaces=has_more,
        most_namespaces=_MOST_NAMESPACES,
        format=form.text("format"),
        name=form.text("name"),
        description=form.lines("description"),
        specification=form.lines("specification"),
        editing=form.lines("specification"),
        newest_seen=form.text("newest_seen"),
        error=error,
        problems=_problems(error, form),
        is_nameless=isinstance(error, InvalidSpecification) and any(item.is_nameless for item in error.problems),
        build=form.text("build"),
        edited=_edited(call, form.text("build")) if edited is None else edited,
        preview=preview,
        suggestions=suggestions,
        is_unsolvable=isinstance(error, Unsolvable),
        newer=None,
        others=others,
        **_policy(call, wanted),
    )


def _edited(call: Call, build: str) -> str:
    """`team / science`, where it is the specification of a build that is changed."""
    if not build.isdecimal() or len(build) > 18:
        return ""
    try:
        record = builds.find_build(call.context, call.actor, int(build))
    except (NotFound, Forbidden):
        return ""
    return f"{record.namespace} / {record.environment}"


def _problems(error: CondaStoreError | None, form: Form) -> list[tuple[Problem, str]]:
    """Each problem with the line that it is about."""
    if not isinstance(error, InvalidSpecification):
        return []
    lines = form.lines("specification").splitlines()
    return [(problem, _line(lines, problem.line)) for problem in error.problems[:_MOST_PROBLEMS]]


def _line(lines: list[str], number: int | None) -> str:
    return lines[number - 1][:200] if number is not None and 0 < number <= len(lines) else ""


def _namespaces(call: Call, wanted: str) -> tuple[list[str], bool]:
    """Where the caller may create environments: what is `wanted` in any case, their own, and the others; and whether
    there are more."""
    found = namespaces.list_namespaces(call.context, call.actor, PageRequest(1, _MOST_NAMESPACES))
    own = call.actor.primary_namespace
    names = {row.name for row in found.rows if previewing.may_create_in(call.actor, row.name)} | {wanted} - {""}
    return sorted(names, key=lambda name: (name != wanted, name != own, name)), found.pages > 1


def _policy(call: Call, namespace: str) -> dict[str, Any]:
    """Nothing where the caller may not create environments."""
    try:
        rules = previewing.rules_of(call.context, call.actor, namespace)
    except (NotFound, Forbidden):
        rules = None
    return {"rules": rules, "namespace": namespace}
