"""`serve`, `worker` and `migrate`: where the parts are put together."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conda_store.auth.opaque import is_token, new_token
from conda_store.auth.providers.base import Authentication
from conda_store.cli.supervisor import Supervisor
from conda_store.client import credentials
from conda_store.config.blueprint import Blueprint
from conda_store.config.core import CondaStore, LocalStorage, data_directory
from conda_store.config.login import is_loopback, is_open, login_of, rules_of
from conda_store.config.logs import configure_logging
from conda_store.config.programs import Program
from conda_store.config.server import (
    AuthenticationBackend,
    CondaStoreServer,
    CondaStoreWorker,
    RBACAuthorizationBackend,
)
from conda_store.domain.on_demand import Audience
from conda_store.domain.roles import Roles
from conda_store.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from conda_store.server.options import ServerOptions
    from conda_store.services.context import Context
    from conda_store.services.validating import Validators

_config = click.option("--config", "config_file", type=click.Path(dir_okay=False), help="Configuration file.")
_arguments = click.argument("options", nargs=-1, type=click.UNPROCESSED)
_settings = {"ignore_unknown_options": True, "help_option_names": ["--help"]}


@click.command(context_settings=_settings)
@_config
@click.option("--address", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port; 0: any free one.  [default: 8080]")
@click.option("--worker/--no-worker", "has_worker", default=True, help="Start a worker too.")
@_arguments
def serve(config_file: str | None, address: str, port: int | None, has_worker: bool, options: tuple[str, ...]) -> None:
    """Serve conda-store on this machine: web, API and a worker.

    What is kept lies in the user's data directory unless the configuration says otherwise. Any option of the
    configuration may be given as `--Class.option=value`.
    """
    arguments = [f"--CondaStoreServer.address={address}"]
    if port is not None:
        arguments.append(f"--CondaStoreServer.port={port}")
    arguments += options
    run_server(_read(config_file, arguments), has_worker=has_worker, remembers_token=True)


@click.command(context_settings=_settings)
@_config
@click.option("--concurrency", type=click.IntRange(1), help="Builds made at once.  [default: one per processor]")
@click.option("--die-with-parent", "parent", type=int, hidden=True)
@_arguments
def worker(config_file: str | None, concurrency: int | None, parent: int | None, options: tuple[str, ...]) -> None:
    """Run a worker that builds environments."""
    arguments = list(options)
    if concurrency is not None:
        arguments.append(f"--CondaStoreWorker.concurrency={concurrency}")
    # what its server has warned of is told once
    run_worker(_read(config_file, arguments, warns=parent is None), dies_with=parent)


@click.command(context_settings=_settings)
@_config
@_arguments
def migrate(config_file: str | None, options: tuple[str, ...]) -> None:
    """Bring the database to this version's tables."""
    _run_upgrade(blueprint_of(_read(config_file, options)))
    click.echo("The database is up to date.")


def _read(config_file: str | None, arguments: Sequence[str], *, warns: bool = True) -> Program:
    given = [f"--config={config_file}"] if config_file else []
    return read_program("conda-store", [*given, *arguments], warns=warns)


def read_program(name: str, arguments: Sequence[str], *, warns: bool = True) -> Program:
    """The configuration out of its file and the command line; `warns` of options that do not exist.

    Raises:
        ConfigurationError: the file is missing or broken, or an option cannot be understood.
    """
    program = Program()
    program.name = name
    if not warns:
        program.log_level = logging.ERROR
    program.read(arguments)
    return program


def blueprint_of(program: Program) -> Blueprint:
    core: CondaStore = program.part(CondaStore)
    storage: LocalStorage = program.part(LocalStorage)
    server: CondaStoreServer = program.part(CondaStoreServer)
    return core.blueprint(storage, is_local=not is_open(server))


def validators_of(program: Program, context: Context) -> Validators:
    """The operator's checks; `db` is the database, `conda_store` the options."""
    from conda_store.services.validating import Validators

    core: CondaStore = program.part(CondaStore)
    given = {"db": context.database, "conda_store": core}
    specification, action = core.validate_specification, core.validate_action
    return Validators(
        None if specification is None else partial(specification, **given),
        None if action is None else partial(action, **given),
    )


def is_standalone(program: Program) -> bool:
    """Whether server and worker are one, by `--standalone` or by the configuration."""
    return bool(program.standalone or program.part(CondaStoreServer).standalone)


def run_worker(program: Program, *, dies_with: int | None = None) -> None:
    """Work until told to stop."""
    from conda_store.services.temporary_files import require_store_directory
    from conda_store.worker import app

    blueprint = blueprint_of(program)
    require_store_directory(blueprint.deployment)
    core: CondaStore = program.part(CondaStore)
    hook = core.post_update_environment_build_hook
    options: CondaStoreWorker = program.part(CondaStoreWorker)
    app.run_worker(
        blueprint,
        concurrency=options.concurrency,
        watch_paths=tuple(options.watch_paths),
        watch_polls=options.watch_polls,
        indexes_channels=options.index_channels,
        dies_with=dies_with,
        log_level=options.log_level,
        on_activated=None if hook is None else partial(hook, core),
        validators=partial(validators_of, program),
    )


def run_server(program: Program, *, has_worker: bool, remembers_token: bool) -> None:
    """Serve until told to stop; the worker, if there is one, ends with the server.

    Raises:
        ConfigurationError: the address is in use, or something of the configuration cannot be used.
    """
    from conda_store.services.temporary_files import require_store_directory

    options: CondaStoreServer = program.part(CondaStoreServer)
    configure_logging(options.log_level)
    blueprint = blueprint_of(program)
    if has_worker:  # a server alone does without
        require_store_directory(blueprint.deployment)
    login = login_of(program, options, has_admin_token=remembers_token)
    listener = _listen(options.address, options.port)
    port = listener.getsockname()[1]
    if remembers_token:
        _set_unless_given(program, options, enable_registry=True, registry_external_url=f"localhost:{port}")
        blueprint = for_this_machine(program, options, blueprint)
    token = admin_token(data_directory() / "admin-token") if remembers_token else None
    if blueprint.upgrades_database:
        _upgrade(blueprint)
    if has_worker:
        program.part(CondaStoreWorker)  # to warn of its options, which the worker leaves to us
    supervisor = Supervisor(_worker_command(program)) if has_worker else None
    if supervisor is not None:
        supervisor.start()
    urls = [f"http://{host}:{port}{_prefix(options)}" for host in _names(options.address)]
    # uvicorn ends with the signal that it was sent: as an exception it does not leave out what follows
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    if token is not None:
        for url in urls:
            credentials.remember(url, token)
    try:
        click.echo(f"conda-store is served at {urls[0]}/", err=True)
        if token is not None:
            click.echo(f"Log in with this link: {urls[0]}/login/?token={token}", err=True)
        _serve(program, blueprint, options, token, listener, login)
    finally:
        if supervisor is not None:
            supervisor.stop()
        if token is not None:
            for url in urls:
                credentials.forget(url, token=token)


def _upgrade(blueprint: Blueprint) -> None:
    """Bring the database to this version's tables, in a process that ends then: Alembic takes 11 MB."""
    from conda_store.db.migrate import is_current

    database = blueprint.database()
    needs_upgrade = not is_current(database)
    database.close()
    if needs_upgrade:
        with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
            pool.submit(_run_upgrade, blueprint).result()


def _run_upgrade(blueprint: Blueprint) -> None:
    from conda_store.db.migrate import upgrade

    database = blueprint.database()
    upgrade(database)
    database.close()


def _set_unless_given(program: Program, options: CondaStoreServer, **values: object) -> None:
    """Other defaults than those of the option, for those who say nothing."""
    for name, value in values.items():
        if name not in program.config[CondaStoreServer.__name__]:
            setattr(options, name, value)


def for_this_machine(program: Program, options: CondaStoreServer, blueprint: Blueprint) -> Blueprint:
    """Who reaches a server on loopback that no proxy shows to others may name packages, unless told otherwise."""
    is_given = "images_on_demand_for" in program.config[CondaStore.__name__]
    if is_given or is_open(options):
        return blueprint
    return replace(blueprint, deployment=replace(blueprint.deployment, on_demand_for=Audience.ANYBODY))


def _prefix(options: CondaStoreServer) -> str:
    return str(options.url_prefix).rstrip("/")


def _names(address: str) -> tuple[str, ...]:
    if address in {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::"}:  # noqa: S104
        return ("localhost", "127.0.0.1")
    return (address,)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # the protocol is named, else asyncio leaves TCP_NODELAY off and every answer waits 40 ms for an acknowledgement
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{address}:{port} cannot be listened on: {error.strerror}",
            hint="Is another server running there? Choose another port with --port.",
        ) from error
    listener.listen(2048)
    return listener


def admin_token(path: Path) -> str:
    """The token of whoever runs `serve`: random, kept in a file that only they can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and is_token(kept := path.read_text().strip()):
        return kept
    # whole or not at all: the empty text must never be a token
    descriptor, staging = tempfile.mkstemp(dir=path.parent)
    token = new_token()
    with os.fdopen(descriptor, "w") as file:
        file.write(token)
    Path(staging).replace(path)
    return token


def _serve(
    program: Program,
    blueprint: Blueprint,
    options: CondaStoreServer,
    token: str | None,
    listener: socket.socket,
    login: Authentication,
) -> None:
    import uvicorn

    from conda_store.server.app import create_app
    from conda_store.server.ending import Server
    from conda_store.server.sending import FileSendingProtocol
    from conda_store.services.context import Context
    from conda_store.services.temporary_files import own_temporary_directory

    bindings: RBACAuthorizationBackend = program.part(RBACAuthorizationBackend)
    roles = roles_of(bindings)
    deployment = replace(blueprint.deployment, roles=roles, role_mappings_version=bindings.role_mappings_version)
    server_options = _server_options(program, blueprint, options, token, roles, login)
    context = Context.assemble(replace(blueprint, deployment=deployment))
    app = create_app(replace(context, validators=validators_of(program, context)), server_options)
    config = uvicorn.Config(
        app,
        http=FileSendingProtocol,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the application reads them itself
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    server = Server(config)
    # a second Ctrl-C cuts the end short: that is what was asked for, and no error to be told
    logging.getLogger("uvicorn.error").addFilter(lambda _record: not server.force_exit)
    # what is there now stays: the collector need not look at it, which takes as long as several answers
    gc.freeze()
    with own_temporary_directory(deployment):
        server.run(sockets=[listener])


def _server_options(
    program: Program,
    blueprint: Blueprint,
    options: CondaStoreServer,
    token: str | None,
    roles: Roles,
    login: Authentication,
) -> ServerOptions:
    """`token` is that of whoever runs the server."""
    from conda_store.server.options import ServerOptions

    backend: AuthenticationBackend = program.part(AuthenticationBackend)
    tokens: dict[str, Any] = dict(backend.predefined_tokens)
    if token is not None:
        home = blueprint.deployment.settings.default_namespace
        tokens[token] = {"primary_namespace": home, "role_bindings": {"*/*": ["admin"]}, "name": "admin"}
    bindings: RBACAuthorizationBackend = program.part(RBACAuthorizationBackend)
    return ServerOptions.of(
        url_prefix=_prefix(options),
        max_page_size=options.max_page_size,
        tokens=tokens,
        unauthenticated_role_bindings=_plain(bindings.unauthenticated_role_bindings),
        authenticated_role_bindings=_plain(bindings.authenticated_role_bindings),
        roles=roles,
        rules=rules_of(program, roles),
        login=login,
        enable_api=options.enable_api,
        enable_ui=options.enable_ui,
        template_vars={name: str(value) for name, value in options.template_vars.items()},
        additional_routes=tuple(options.additional_routes),
        enable_metrics=options.enable_metrics,
        cors_allow_origins=tuple(options.cors_allow_origins),
        cors_allow_origin_regex=options.cors_allow_origin_regex,
        allowed_hosts=tuple(options.allowed_hosts) or _loopback_hosts(options.address),
        packing_wait=float(options.packing_wait),
        enable_registry=options.enable_registry,
        accel_redirect=options.accel_redirect,
        registry_external_url=options.registry_external_url,
        behind_proxy=options.behind_proxy,
        proxies=options.proxies,
    )


def roles_of(options: RBACAuthorizationBackend) -> Roles:
    """
    Raises:
        ConfigurationError: a permission does not exist, or the name of a role is none.
    """
    try:
        return Roles.of({name: tuple(map(str, held)) for name, held in options.role_mappings.items()})
    except InvalidInput as error:
        raise ConfigurationError(
            f"c.RBACAuthorizationBackend.role_mappings: {error.message}", hint=error.hint
        ) from error


def _plain(bindings: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {entity: tuple(roles) for entity, roles in bindings.items()}


def _loopback_hosts(address: str) -> tuple[str, ...]:
    """On loopback only loopback's names are answered, so that no web page elsewhere can pose as one of ours."""
    return ("localhost", "127.0.0.1", "[::1]") if is_loopback(address) else ()


def _worker_command(program: Program) -> list[str]:
    command = [sys.executable, "-m", "conda_store", "worker", f"--die-with-parent={os.getpid()}"]
    if program.config_file:
        command.append(f"--config={Path(program.config_file).absolute()}")
    # the worker asks what the server would
    server: CondaStoreServer = program.part(CondaStoreServer)
    command += [
        f"--CondaStoreServer.address={server.address}",
        f"--CondaStoreServer.behind_proxy={server.behind_proxy}",
    ]
    command += [f"--CondaStoreServer.allowed_hosts={name}" for name in server.allowed_hosts]
    for section, values in program.cli_config.items():
        if section in {"Program", "CondaStoreServer"}:
            continue
        for name, value in values.items():
            for item in value if isinstance(value, list) else [value]:
                command.append(f"--{section}.{name}={item}")
    return command
