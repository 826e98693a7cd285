"""What may be done, and the roles that permit it: the built-in ones and those of the deployment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from conda_store.errors import InvalidInput

_ROLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


class Permission(StrEnum):
    ENVIRONMENT_CREATE = "environment:create"  # a single colon, as clients know it
    ENVIRONMENT_READ = "environment::read"
    ENVIRONMENT_UPDATE = "environment::update"
    ENVIRONMENT_DELETE = "environment::delete"
    ENVIRONMENT_SOLVE = "environment::solve"
    BUILD_CANCEL = "build::cancel"
    BUILD_DELETE = "build::delete"
    NAMESPACE_CREATE = "namespace::create"
    NAMESPACE_READ = "namespace::read"
    NAMESPACE_UPDATE = "namespace::update"
    NAMESPACE_DELETE = "namespace::delete"
    NAMESPACE_ROLE_MAPPING_CREATE = "namespace-role-mapping::create"
    NAMESPACE_ROLE_MAPPING_READ = "namespace-role-mapping::read"
    NAMESPACE_ROLE_MAPPING_UPDATE = "namespace-role-mapping::update"
    NAMESPACE_ROLE_MAPPING_DELETE = "namespace-role-mapping::delete"
    SETTING_READ = "setting::read"
    SETTING_UPDATE = "setting::update"

    @property
    def is_reading(self) -> bool:
        """Whether nothing changes by it."""
        return self.value.endswith(("::read", "::solve"))


@dataclass(frozen=True)
class Role:
    """A name for some permissions. The three that always exist may be given other permissions, see `Roles`."""

    name: str
    permissions: frozenset[Permission] = field(repr=False)

    VIEWER: ClassVar[Role]
    DEVELOPER: ClassVar[Role]
    ADMIN: ClassVar[Role]

    def __str__(self) -> str:
        return self.name


_VIEWER = frozenset({Permission.ENVIRONMENT_READ, Permission.NAMESPACE_READ, Permission.NAMESPACE_ROLE_MAPPING_READ})
_DEVELOPER = _VIEWER | {
    Permission.ENVIRONMENT_CREATE,
    Permission.ENVIRONMENT_UPDATE,
    Permission.ENVIRONMENT_SOLVE,
    Permission.BUILD_CANCEL,
    Permission.SETTING_READ,
}
Role.VIEWER = Role("viewer", _VIEWER)
Role.DEVELOPER = Role("developer", _DEVELOPER)
Role.ADMIN = Role("admin", frozenset(Permission))
# what a share link gives: no name for it can be asked for
LINK_READER = Role("link", frozenset({Permission.ENVIRONMENT_READ}))


@dataclass(frozen=True)
class Roles:
    """The roles of a deployment, by name. `editor` is another word for `developer`."""

    by_name: Mapping[str, Role] = field(
        default_factory=lambda: {role.name: role for role in (Role.VIEWER, Role.DEVELOPER, Role.ADMIN)}
    )

    @classmethod
    def of(cls, permissions: Mapping[str, Iterable[str]]) -> Roles:
        """The roles that always exist, and those of a configuration, which may give one of them other permissions.

        Raises:
            InvalidInput: a permission does not exist, or the name of a role is none.
        """
        roles = dict(cls().by_name)
        for name, held in permissions.items():
            if not _ROLE_NAME.fullmatch(name):
                raise InvalidInput(f"role {name!r} is no name", hint="Write letters, digits, - and _.")
            known = _canonical(name)
            roles[known] = Role(known, frozenset(parse_permission(text) for text in held))
        return cls(roles)

    def parse(self, text: str) -> Role:
        """
        Raises:
            InvalidInput: there is no such role; the hint lists those that there are.
        """
        role = self.by_name.get(_canonical(text))
        if role is None:
            shown = ["developer (= editor)" if name == "developer" else name for name in self.by_name]
            raise InvalidInput(f"invalid role={text[:80]}", hint=f"Roles are {', '.join(shown)}.")
        return role

    def __iter__(self) -> Iterator[Role]:
        return iter(self.by_name.values())


def _canonical(name: str) -> str:
    return "developer" if name == "editor" else name


BUILT_IN_ROLES = Roles()


def parse_permission(text: str) -> Permission:
    """
    Raises:
        InvalidInput: there is no such permission.
    """
    try:
        return Permission(text)
    except ValueError:
        known = ", ".join(Permission)
        raise InvalidInput(f"invalid permission={text[:80]}", hint=f"Permissions are {known}.") from None
