"""The tree of errors.

::

    CondaStoreError
    ├── InvalidInput              what somebody handed in cannot be accepted (400)
    │   ├── InvalidSpecification  with one Problem for each thing that is wrong
    │   ├── PolicyViolation       a setting of the deployment or namespace forbids it
    │   │   └── QuotaExceeded     no room for another build
    │   └── TooManyRequests       ask later (429)
    ├── NotAuthenticated          401
    ├── Forbidden                 seen, but not allowed (403)
    ├── NotFound                  absent, or not to be seen (404)
    ├── Conflict                  the present state does not permit it (409)
    ├── Unavailable               try again later (503)
    │   ├── DatabaseFull          the disk of the database has no room left
    │   └── StorageFailed         the blob store refused or could not be reached
    ├── ArtifactFailed            an archive, installer or other artifact cannot be made of this environment
    ├── ConfigurationError        a program cannot start like this
    ├── ServerError               what a client says of a server's answer
    └── BuildFailed               ends an attempt at a build; `transient` says whether another may succeed
        ├── Unsolvable            no set of packages satisfies the specification
        │   └── SolveTimedOut     or none was found in the time allowed
        ├── ChannelUnavailable    transient: repodata cannot be had
        │   └── ChannelNotFound   not transient: there is no such channel, or it is closed to us
        ├── AddressRefused        a host that lies inside, and is not asked on behalf of others
        ├── PackageUnavailable    transient: a package cannot be downloaded
        │   └── PackageNotFound   not transient: the channel has no such file, or refuses it to us
        ├── PackageCorrupt        downloaded twice, and not what the lock says
        ├── PrefixTooLong
        ├── PipFailed
        ├── LinkScriptFailed
        ├── BuildTookTooLong      longer than the quota of its namespace
        ├── DiskFull              transient: somebody may make room
        └── Interrupted           transient: the worker was lost

Every error carries a message (what failed, on which value) and may carry a hint (what to do next).
Neither ever holds a secret: whoever raises removes credentials from URLs first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class CondaStoreError(Exception):
    """What failed, on which value; `hint` says what to do next."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class InvalidInput(CondaStoreError):
    code = "invalid"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a specification.

    `path` leads to the value (`("dependencies", 2, "pip", 0)`), `line` is 1-based where the text has lines; `hint` says
    why, or what to write instead.
    """

    message: str
    path: tuple[str | int, ...] = ()
    kind: str = "value_error"
    line: int | None = None
    hint: str = ""

    @property
    def is_nameless(self) -> bool:
        """Whether it is that the whole has no name."""
        return self.path == ("name",) and self.kind == "missing"

    def __str__(self) -> str:
        where = " -> ".join(str(part) for part in self.path) or "specification"
        at = f", line={self.line}" if self.line is not None else ""
        return f"{self.message} (type={self.kind}, loc=({where}){at})"


class InvalidSpecification(InvalidInput):
    code = "invalid-specification"

    def __init__(self, problems: tuple[Problem, ...] | str, *, hint: str = "") -> None:
        self.problems = (Problem(problems),) if isinstance(problems, str) else problems
        text = problems if isinstance(problems, str) else "\n".join(str(problem) for problem in problems)
        hints = dict.fromkeys(problem.hint for problem in self.problems if problem.hint)
        super().__init__(text, hint=hint or "\n".join(hints))


@dataclass(frozen=True)
class Refusal:
    """What a rule says no to: the setting, the layer that sets it, the value that it refuses, and why."""

    rule: str
    layer: str
    value: str
    why: str

    def __str__(self) -> str:
        return f"{self.value}: {self.why} ({self.rule}, set for {self.layer})"


class PolicyViolation(InvalidInput):
    """`refusals` say which rules of which layers refuse what."""

    code = "policy"

    def __init__(self, message: str, *, hint: str = "", refusals: tuple[Refusal, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.refusals = refusals


class QuotaExceeded(PolicyViolation):
    code = "quota"


class TooManyRequests(InvalidInput):
    """`retry_after` is in seconds."""

    code = "too-many-requests"

    def __init__(self, message: str, *, hint: str = "", retry_after: int = 60) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class NotAuthenticated(CondaStoreError):
    code = "not-authenticated"

    def __init__(self, message: str = "request not authenticated", *, hint: str = "") -> None:
        super().__init__(message, hint=hint)


class Forbidden(CondaStoreError):
    """`reason` is for the log: the decision with the bindings that led to it."""

    code = "forbidden"

    def __init__(self, message: str = "request not authorized", *, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class NotFound(CondaStoreError):
    """`reason` as with `Forbidden`; empty where the thing does not exist."""

    code = "not-found"

    def __init__(self, message: str, *, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class Conflict(CondaStoreError):
    code = "conflict"


class Unavailable(CondaStoreError):
    """`retry_after` is in seconds."""

    code = "unavailable"

    def __init__(self, message: str, *, hint: str = "", retry_after: int = 5) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class DatabaseFull(Unavailable):
    code = "database-full"


class StorageFailed(Unavailable):
    code = "storage-failed"


class ArtifactFailed(CondaStoreError):
    code = "artifact-failed"


class ConfigurationError(CondaStoreError):
    code = "configuration"


class ServerError(CondaStoreError):
    """A server's refusal as a client sees it; `status` is the HTTP status, 0 where there was no answer."""

    code = "server"

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class BuildFailed(CondaStoreError):
    code = "build-failed"
    transient: ClassVar[bool] = False


class Unsolvable(BuildFailed):
    code = "unsolvable"


class SolveTimedOut(Unsolvable):
    code = "solve-timed-out"


class ChannelUnavailable(BuildFailed):
    code = "channel-unavailable"
    transient = True


class ChannelNotFound(ChannelUnavailable):
    code = "channel-not-found"
    transient = False


class AddressRefused(BuildFailed):
    code = "address-refused"


class PackageUnavailable(BuildFailed):
    code = "package-unavailable"
    transient = True


class PackageNotFound(PackageUnavailable):
    code = "package-not-found"
    transient = False


class PackageCorrupt(BuildFailed):
    code = "package-corrupt"


class PrefixTooLong(BuildFailed):
    code = "prefix-too-long"


class PipFailed(BuildFailed):
    code = "pip-failed"


class BuildTookTooLong(BuildFailed):
    code = "build-time"


class LinkScriptFailed(BuildFailed):
    code = "link-script-failed"


class DiskFull(BuildFailed):
    code = "disk-full"
    transient = True


class Interrupted(BuildFailed):
    code = "interrupted"
    transient = True
