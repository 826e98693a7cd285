from __future__ import annotations

import pytest

from conda_store.domain.addresses import AddressPolicy, address_problem
from conda_store.errors import InvalidInput

CLOSED = AddressPolicy(())


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
     "::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "2002:7f00:1::", "::",
     "::7f00:1", "::ffff:0:7f00:1", "64:ff9b::a01:203"],
)  # fmt: skip
def test_neighbours_are_not_asked(address: str) -> None:
    assert not CLOSED.permits("example.org", address)
    assert AddressPolicy(("*",)).permits("example.org", address)
    assert AddressPolicy(("example.org",)).permits("Example.org", address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_others_are(address: str) -> None:
    assert CLOSED.permits("example.org", address)


def test_networks_are_allowed_as_such() -> None:
    policy = AddressPolicy(("10.20.0.0/16", "mirror"))
    assert policy.permits("x", "10.20.1.1")
    assert not policy.permits("x", "10.21.1.1")
    assert policy.permits("mirror", "10.21.1.1")


def test_a_name_that_stands_for_a_neighbour_is_refused() -> None:
    with pytest.raises(InvalidInput, match="localhost lies inside"):
        CLOSED.resolve("localhost", 80)
    assert AddressPolicy(("localhost",)).resolve("localhost", 80)


def test_what_can_be_configured() -> None:
    assert address_problem("10.0.0.0/8") is None
    assert address_problem("mirror.example.org") is None
    assert address_problem("10.0.0.1/8") is not None
    assert address_problem("a b") is not None
