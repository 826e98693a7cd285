"""The operator's own checks: `c.CondaStore.validate_specification` and `validate_action`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from conda_store.domain.specification import AnySpecification, Specification, parse_specification
from conda_store.errors import CondaStoreError, PolicyViolation

logger = structlog.get_logger()


@dataclass(frozen=True)
class Validators:
    """Called by name: `specification(namespace=, specification=)` may change what it is given, or return another;
    `action(namespace=, action=)` returns nothing. Both refuse by raising."""

    specification: Callable[..., Any] | None = None
    action: Callable[..., Any] | None = None

    def require(self, namespace: str, action: str) -> None:
        """
        Raises:
            CondaStoreError: what the check raised; PolicyViolation where that was a ValueError.
        """
        if self.action is not None:
            _called(self.action, "validate_action", namespace=namespace, action=action)

    def checked(self, namespace: str, wanted: AnySpecification) -> AnySpecification:
        """The specification as the operator's check leaves it; a lock can be refused, and is not changed.

        Raises:
            CondaStoreError: as `require`; InvalidSpecification where it leaves none.
        """
        if self.specification is None:
            return wanted
        given = HandedIn(wanted)
        returned = _called(self.specification, "validate_specification", namespace=namespace, specification=given)
        if not isinstance(wanted, Specification):
            return wanted
        changed = returned if isinstance(returned, HandedIn) else given
        return parse_specification(dict(returned) if isinstance(returned, Mapping) else changed.document())


class HandedIn:
    """A specification as a check sees it: attributes named as in an `environment.yaml`, which it may change."""

    def __init__(self, specification: AnySpecification) -> None:
        for name, value in specification.model().items():
            setattr(self, name, value)

    def document(self) -> dict[str, Any]:
        return dict(vars(self))


def _called(check: Callable[..., Any], name: str, **arguments: Any) -> Any:
    try:
        return check(**arguments)
    except CondaStoreError:
        raise
    except ValueError as error:
        raise PolicyViolation(str(error), hint=f"A check of this deployment refused it ({name}).") from error
    except Exception as error:
        logger.exception("a check of the configuration failed", check=name)
        raise CondaStoreError(
            f"the check {name} of this deployment failed", hint="Whoever runs conda-store finds it in the log."
        ) from error
