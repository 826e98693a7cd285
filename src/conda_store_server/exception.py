"""What a check of the operator's raises to refuse something."""

from conda_store.errors import PolicyViolation as CondaStoreError

__all__ = ["CondaStoreError"]
