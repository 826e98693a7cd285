"""`c.CondaStoreServer`, `c.CondaStoreWorker` and who is known by a token."""

from __future__ import annotations

from traitlets import Bool, Callable, Dict, Int, List, Set, Tuple, Type, Unicode
from traitlets.config import LoggingConfigurable

from conda_store.auth.providers.base import Authentication


class CondaStoreServer(LoggingConfigurable):
    address = Unicode(
        "0.0.0.0",  # noqa: S104 - only tokens of the configuration let anybody in
        help="Address to listen on; 127.0.0.1 serves this machine only.",
        config=True,
    )
    port = Int(8080, min=0, max=65535, help="Port to listen on; 0: any free one.", config=True)
    url_prefix = Unicode("/", help="Path below which everything but the registry is served.", config=True)
    log_level = Int(20, help="Level of the log, as in Python's logging: 20 is INFO.", config=True)
    enable_ui = Bool(True, help="Serve the pages; logging in works without them.", config=True)
    enable_api = Bool(True, help="Serve the REST API.", config=True)
    enable_registry = Bool(
        False, help="Serve environments as container images below /v2/; `conda-store serve` does.", config=True
    )
    enable_metrics = Bool(True, help="Serve /metrics.", config=True)
    registry_external_url = Unicode("localhost:8080", help="How clients name the registry, no scheme.", config=True)
    accel_redirect = Unicode(
        "",
        help="Path under which nginx in front serves the storage directory to itself (`internal`): files are left to "
        "it by X-Accel-Redirect. Empty: they are sent from here.",
        config=True,
    )
    behind_proxy = Bool(False, help="Believe X-Forwarded-* headers.", config=True)
    proxies = Int(1, min=1, help="How many proxies in front add to X-Forwarded-For, one behind the other.", config=True)
    template_vars = Dict(help="`banner`: HTML above every page; `logo`: path of an image.", config=True)
    additional_routes = List(
        Tuple(Unicode(), Unicode(), Callable()),
        [],
        help="Routes of your own: (path, method, function), as FastAPI takes them. They check permissions themselves.",
        config=True,
    )
    cors_allow_origins = List(Unicode(), [], help="Origins whose pages may call the API.", config=True)
    cors_allow_origin_regex = Unicode(None, allow_none=True, help="The same as a pattern.", config=True)
    allowed_hosts = List(
        Unicode(), [], help="Host names under which the server may be asked; empty: any, loopback names on loopback.",
        config=True,
    )  # fmt: skip
    authentication_class = Type(
        None,
        klass=Authentication,
        allow_none=True,
        help="How people log in: one of the classes below, or a subclass. None: with a token; conda-store-server on "
        "loopback takes DummyAuthentication.",
        config=True,
    )
    max_page_size = Int(100, min=1, help="Most rows on a page of a list.", config=True)
    packing_wait = Int(300, min=1, help="Seconds that a request waits for an artifact being made.", config=True)
    reload = Bool(False, help="Accepted; the server does not reload itself.", config=True)
    standalone = Bool(False, help="Start a worker along with the server.", config=True)


class CondaStoreWorker(LoggingConfigurable):
    log_level = Int(20, help="Level of the log, as in Python's logging: 20 is INFO.", config=True)
    watch_paths = List(Unicode(), [], help="Files and directories of specifications to follow.", config=True)
    watch_polls = Bool(
        False, help="Look at watched files once a second instead of being told: for network file systems.", config=True
    )
    concurrency = Int(
        None, min=1, allow_none=True, help="Builds and artifacts made at once; None: one per processor.", config=True
    )
    index_channels = Bool(True, help="Keep the index of packages up to date.", config=True)


class AuthenticationBackend(LoggingConfigurable):
    secret = Unicode(
        "", help="Tokens that are signed with it (JWT) are accepted; 32 bytes or more. Empty: none are.", config=True
    )
    jwt_algorithm = Unicode("HS256", help="How they are signed: HS256, HS384 or HS512.", config=True)
    predefined_tokens = Dict(
        help="Tokens of machines: {token: {primary_namespace, role_bindings, expiration}}.", config=True
    )


class RBACAuthorizationBackend(LoggingConfigurable):
    role_mappings_version = Int(
        1, min=1, max=2, help="Which role mappings of namespaces give roles: those of version 1 or 2.", config=True
    )
    role_mappings = Dict(
        help="Roles of your own, or other permissions for one that exists: {role: permissions}.", config=True
    )
    unauthenticated_role_bindings = Dict(
        {"default/*": {"viewer"}}, help="What anybody may do: {namespace/environment: roles}.", config=True
    )
    authenticated_role_bindings = Dict(
        {"default/*": {"viewer"}, "filesystem/*": {"viewer"}},
        help="What everybody with a login or token may do.",
        config=True,
    )
    user_role_bindings = Dict(help="What single users may do: {user: {namespace/environment: roles}}.", config=True)
    group_role_bindings = Dict(
        help="What the members of groups may do: {group: {namespace/environment: roles}}.", config=True
    )
    admin_users = Set(Unicode(), set(), help="Users who are admin of everything.", config=True)
    admin_groups = Set(Unicode(), set(), help="Groups whose members are admin of everything.", config=True)
    allowed_users = Set(
        Unicode(),
        set(),
        help="Users who may log in; with none, and no groups: all that the provider knows.",
        config=True,
    )
    allowed_groups = Set(Unicode(), set(), help="Groups whose members may log in.", config=True)
