"""What a class of the operator's finds the service by."""

from starlette.requests import Request

from conda_store_server._internal.session import CondaStore

__all__ = ["get_conda_store"]


async def get_conda_store(request: Request) -> CondaStore:
    """Its `session_factory()` gives a `db`, for `conda_store_server.api` and `db.add(orm.Namespace(...))`."""
    return CondaStore(request.app.state.parts.context)
