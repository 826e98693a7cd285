"""`make demo`: start conda-store on its embedded default, hand in the examples, use what comes out.

Uses the conda channel of the examples where one can be reached within three seconds, else one made on the spot.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx

from tools.base_image import make_base_image
from tools.channel import ChannelError, make_channel
from tools.channel.serve import ChannelServer

ROOT = Path(__file__).parent.parent
PROBE_SECONDS = 3.0
START_SECONDS = 60.0
DEFAULT_ALIAS = "https://conda.anaconda.org"
EXAMPLES = ("hello", "datascience")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when everything has been shown")
    parser.add_argument("--port", type=int, default=8080, help="port of the service; 0: any free one")
    parser.add_argument("--data", type=Path, default=ROOT / ".cache" / "demo", help="where the service keeps its data")
    parser.add_argument("--channel-alias", default=DEFAULT_ALIAS, help="where conda-forge is looked for")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with _channel(options.channel_alias) as alias, _service(options.data, options.port, alias) as url:
            _show(url, options.data)
            if not options.once:
                _say_how_to_go_on(url, options.data)
                signal.pause()
    except KeyboardInterrupt:
        print("\nStopped.")
    except (ChannelError, DemoFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


class DemoFailed(Exception):
    pass


@contextmanager
def _channel(alias: str) -> Iterator[str]:
    """The alias below which conda-forge is to be had."""
    if is_reachable(f"{alias}/conda-forge"):
        print(f"Using the channel {alias}/conda-forge.")
        with nullcontext(alias) as found:
            yield found
        return
    print(f"{alias} cannot be reached from here: making a small channel of real packages (minutes once, then seconds).")
    channels = ROOT / ".cache" / "demo-channel"
    make_channel(channels / "conda-forge", ROOT / "tools" / "channel" / "demo.toml")
    with ChannelServer(channels) as server:
        yield server.url.rstrip("/")


def is_reachable(channel: str) -> bool:
    """Whether a channel answers for its repodata within the time that anybody would wait."""
    try:
        answer = httpx.head(f"{channel}/noarch/repodata.json.zst", timeout=PROBE_SECONDS, follow_redirects=True)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


@contextmanager
def _service(data: Path, port: int, alias: str) -> Iterator[str]:
    """conda-store with its data in `data`; gives its URL."""
    data.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "XDG_DATA_HOME": str(data / "share"), "XDG_CONFIG_HOME": str(data / "config")}
    os.environ.update(environment)
    log = data / "conda-store.log"
    command = [_program(), "serve", f"--port={port}", f"--CondaStore.conda_channel_alias={alias}",
               "--CondaStore.conda_indexed_channels=conda-forge", "--CondaStore.storage_threshold=0",
               *_base_image()]  # fmt: skip
    started = time.monotonic()
    # it holds the link that logs in
    log.touch(mode=0o600)
    log.chmod(0o600)
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        url = _wait_for(process, log)
        print(f"conda-store answers at {url} after {time.monotonic() - started:.1f} s (its log: {log}).")
        print(_login_link(log))
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _base_image() -> tuple[str, ...]:
    """The option that puts a C library and a shell below images, where this is a Debian."""
    file = ROOT / ".cache" / "base-image.tar"
    try:
        make_base_image(file)
    except (ChannelError, OSError) as error:
        print(f"Images are made with the base image that is the default: {error}")
        return ()
    return (f"--CondaStore.default_docker_base_image=tar:{file}",)


def _wait_for(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("conda-store is served at "):
                url = line.rsplit(" ", 1)[1].rstrip("/")
                try:
                    if httpx.get(f"{url}/api/v1/", timeout=1).status_code == httpx.codes.OK:
                        return url
                except httpx.HTTPError:
                    pass
        time.sleep(0.05)
    raise DemoFailed(f"conda-store does not come up; its log says:\n{log.read_text()[-2000:]}")


def _login_link(log: Path) -> str:
    return next((line for line in log.read_text().splitlines() if line.startswith("Log in with this link: ")), "")


def _program() -> str:
    return str(Path(sys.executable).with_name("conda-store"))


def _run(*arguments: str) -> str:
    command = [_program(), *arguments]
    print(f"\n$ conda-store {' '.join(arguments)}", flush=True)
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise DemoFailed(f"conda-store {arguments[0]} ended with {ended.returncode}\n{ended.stdout}")
    print(ended.stdout, end="", flush=True)
    return ended.stdout


def _show(url: str, data: Path) -> None:
    os.environ["CONDA_STORE_URL"] = url
    for name in EXAMPLES:
        _run("env", "create", "-f", str(ROOT / "examples" / f"{name}.yaml"), "--wait")
    _run("env", "list")
    prefix = data / "share" / "conda-store" / "state" / "default" / "envs" / "datascience"
    code = "import numpy, pandas; print('numpy', numpy.__version__, 'and pandas', pandas.__version__)"
    print(f'\n$ {prefix}/bin/python -c "{code}"', flush=True)
    if subprocess.run([prefix / "bin" / "python", "-c", code], check=False).returncode:
        raise DemoFailed("the environment does not work")
    base = f"{url}/api/v1/environment/default/datascience"
    answer = httpx.get(f"{base}/", timeout=10).raise_for_status().json()
    build = f"{url}/api/v1/build/{answer['data']['current_build_id']}"
    print(
        f"\nThe environment is served as\n"
        f"  page      {url}/environment/default/datascience/\n"
        f"  prefix    {prefix}\n"
        f"  lockfile  {build}/lockfile/\n"
        f"  yaml      {build}/yaml/\n"
        f"  archive   {build}/archive/\n"
        f"  installer {build}/installer/\n"
        f"  image     docker run -it {url.partition('//')[2]}/default/datascience python\n"
        f"  API       {url}/docs",
        flush=True,
    )


def _say_how_to_go_on(url: str, data: Path) -> None:
    """The login of the demo is kept apart from whatever the user's own command line remembers."""
    token = data / "share" / "conda-store" / "admin-token"
    print(
        f"\nHand in your own, in another terminal:\n"
        f"  . {Path(sys.executable).parent}/activate\n"
        f"  export CONDA_STORE_URL={url} CONDA_STORE_AUTH=token CONDA_STORE_TOKEN=$(cat {token})\n"
        f"  conda-store env create -f environment.yaml\n"
        f"\nIt stays up until Ctrl-C.",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
