"""Sharing: a role on one environment or a namespace for somebody, and links to read one environment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from conda_store.auth.opaque import LINK_PREFIX, digest, is_token, new_token
from conda_store.db import environments, namespaces, roles, share_links
from conda_store.db.records import RoleRecord, ShareLinkRecord
from conda_store.domain.access import Actor, Holder, HolderKind, Origin, RoleBinding, Source, Target, Way, not_there
from conda_store.domain.audit import about
from conda_store.domain.roles import LINK_READER, Permission
from conda_store.errors import InvalidInput, NotFound
from conda_store.services.access import require_known, require_may_give
from conda_store.services.context import Context

_LONGEST_NAME = 255
LINK_LIFETIME = timedelta(days=7)
_LONGEST_LIFETIME = timedelta(days=366)


def list_shares(context: Context, actor: Actor, target: Target) -> tuple[RoleRecord, ...]:
    """With whom an environment is shared; a namespace, and whatever is in it."""
    actor.require(Permission.NAMESPACE_ROLE_MAPPING_READ, target)
    require_known(actor)
    namespace = _require_existing(context, target)
    with context.database.read() as connection:
        return roles.shares(connection, namespace, target.environment)


def share(context: Context, actor: Actor, target: Target, holder: Holder, role: str) -> None:
    """Give the holder a role, in place of one that they were given here before.

    Raises:
        InvalidInput: there is no such role or namespace, or the holder has no name.
        Forbidden: the actor may not change roles here, or the role permits more than they may do.
    """
    actor.require(Permission.NAMESPACE_ROLE_MAPPING_CREATE, target)
    about(f"{role} for {holder}")
    binding = RoleBinding(
        _require_existing(context, target), target.environment or "*", context.deployment.roles.parse(role)
    )
    require_may_give(actor, [binding])
    _check_name(holder)
    now = datetime.now(UTC)
    with context.database.write() as connection:
        namespace = namespaces.get(connection, binding.namespace)
        if holder.kind is HolderKind.NAMESPACE and namespaces.find(connection, holder.name) is None:
            raise InvalidInput(f"Namespace={holder.name!r} not found", hint="Create it first, or mend its name.")
        found = roles.find(connection, namespace.id, Way.SHARE, holder, binding.environment)
        if found is None:
            roles.add(connection, namespace.id, Way.SHARE, holder, binding, actor.name, now)
        else:
            actor.require(Permission.NAMESPACE_ROLE_MAPPING_UPDATE, target)
            roles.change(connection, found.id, binding.role.name, actor.name, now)


def unshare(context: Context, actor: Actor, target: Target, holder: Holder) -> None:
    """
    Raises:
        NotFound: it is not shared with them.
    """
    actor.require(Permission.NAMESPACE_ROLE_MAPPING_DELETE, target)
    about(f"{holder}")
    name = _require_existing(context, target)
    with context.database.write() as connection:
        namespace = namespaces.get(connection, name)
        found = roles.find(connection, namespace.id, Way.SHARE, holder, target.environment or "*")
        if found is None:
            raise NotFound(f"{target} is not shared with {holder}", hint="Look at the list of shares.")
        roles.remove(connection, [found.id])


def list_links(context: Context, actor: Actor, target: Target) -> tuple[ShareLinkRecord, ...]:
    """The links that are good, without what stands in them: that is shown once, when they are made."""
    actor.require(Permission.NAMESPACE_ROLE_MAPPING_READ, target)
    require_known(actor)
    namespace = _require_existing(context, target)
    with context.database.read() as connection:
        return share_links.of_namespace(connection, namespace, target.environment, datetime.now(UTC))


def create_link(
    context: Context, actor: Actor, target: Target, expires_on: datetime | None = None
) -> tuple[ShareLinkRecord, str]:
    """A link to read one environment, for whoever has it; without a time it is good for a week.

    `expires_on` is aware.

    Raises:
        InvalidInput: the time is over, or more than a year away.
        Forbidden: the actor may not change roles here.
    """
    actor.require(Permission.NAMESPACE_ROLE_MAPPING_CREATE, target)
    namespace, name = _require_existing(context, target), target.environment or ""
    require_may_give(actor, [RoleBinding(namespace, name, LINK_READER)])
    now = datetime.now(UTC)
    expires_on = expires_on or now + LINK_LIFETIME
    if not now < expires_on <= now + _LONGEST_LIFETIME:
        raise InvalidInput(
            f"a link cannot expire on {expires_on.isoformat()}", hint="Name a time to come, in a year at most."
        )
    token = new_token(LINK_PREFIX)
    with context.database.write() as connection:
        environment = environments.find(connection, namespace, name)
        if environment is None:
            raise not_there(target)
        link_id = share_links.create(connection, digest(token), environment.id, actor.name, now, expires_on)
        about(f"link {link_id} until {expires_on:%Y-%m-%d}")
    return ShareLinkRecord(link_id, namespace, name, actor.name, now, expires_on), token


def revoke_link(context: Context, actor: Actor, target: Target, link_id: int) -> None:
    """
    Raises:
        NotFound: there is no such link to this environment (any more).
    """
    actor.require(Permission.NAMESPACE_ROLE_MAPPING_DELETE, target)
    about(f"link {link_id}")
    namespace = _require_existing(context, target)
    with context.database.write() as connection:
        links = share_links.of_namespace(connection, namespace, target.environment, datetime.now(UTC))
        if link_id not in {link.id for link in links}:
            raise NotFound("share link does not exist", hint="It may have expired or been revoked already.")
        share_links.remove(connection, link_id)


def find_link(context: Context, token: str) -> ShareLinkRecord | None:
    """What a link leads to; None where it has expired, was revoked or never was one."""
    if not is_token(token, LINK_PREFIX):
        return None
    with context.database.read() as connection:
        return share_links.find(connection, digest(token), datetime.now(UTC))


def with_link(actor: Actor, link: ShareLinkRecord) -> Actor:
    """The actor, who besides may read what the link leads to."""
    origin = Origin(Source.SHARE_LINK, f"whoever has link {link.id}")
    binding = (RoleBinding(link.namespace, link.environment, LINK_READER, origin),)
    limits = None if actor.limits is None else actor.limits + binding
    return replace(actor, bindings=actor.bindings + binding, limits=limits)


def _require_existing(context: Context, target: Target) -> str:
    """The name of the namespace, which exists, as does the environment where the target is one."""
    name = target.namespace or ""
    with context.database.read() as connection:
        namespaces.get(connection, name)
        if target.environment is not None and environments.find(connection, name, target.environment) is None:
            raise not_there(target)
    return name


def _check_name(holder: Holder) -> None:
    if not holder.name.strip() or len(holder.name) > _LONGEST_NAME or not holder.name.isprintable():
        raise InvalidInput(
            f"{holder.name[:80]!r} is no name of a {holder.kind}", hint=f"Write up to {_LONGEST_NAME} characters."
        )
