"""Several installations at once over one cache, and installations that are cancelled."""

from __future__ import annotations

import asyncio
import os

import pytest

from conda_store.builder.install import install
from conda_store.builder.transaction import package_client
from tests.waiting import wait_for
from tools.channel.serve import ChannelServer, Fault


@pytest.fixture
def served(site):
    for number in range(8):
        site.add(f"part-{number}", files={f"share/{number}/{part}": os.urandom(5_000) for part in range(20)})
    with ChannelServer(site.channel) as server:
        site.serve_from(server.url)
        yield server


def test_twenty_at_once_over_a_cold_cache(site, served, run_async, measure):
    async def all_at_once():
        return await asyncio.gather(
            *(
                install(
                    site.request(f"environment-{number}", permissions=0o775 if number % 2 else 0o750),
                    site.reporter,
                    cache=site.cache,
                    options=site.options,
                )
                for number in range(20)
            )
        )

    before = os.umask(0o022)
    try:
        results = run_async(all_at_once())
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert served.count("*.conda") == 8
    for number, installed in enumerate(results):
        prefix = site.store / f"environment-{number}"
        assert (installed.files, installed.size) == measure(prefix)
        assert (prefix / "share").stat().st_mode & 0o777 == (0o775 if number % 2 else 0o750)


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.3])
def test_cancelled_installation_leaves_nothing_and_can_be_repeated(site, served, run_async, moment):
    served.faults["*part-3*"] = Fault(delay=1.0, times=1)

    async def cancel():
        task = asyncio.create_task(install(site.request(), site.reporter, cache=site.cache, options=site.options))
        await asyncio.sleep(moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(1.2)  # what rattler had begun ends after that, and leaves nothing

    run_async(cancel())
    wait_for("nothing is left", site.is_clean)
    site.install()
    assert len(list((site.store / "environment/share").iterdir())) == 8


def test_client_is_made_once(site):
    assert package_client(site.options) is package_client(site.options)
