"""An application host goes on whatever becomes of one worker, its tunnel or its cache."""

from __future__ import annotations

import time

import pytest

from tests.integration.cache_service.conftest import SERVICE
from tests.integration.cache_service.faults import FAULTS, Fault, strike, wait_for_worker
from tests.integration.tunnels.outage import Client
from tests.integration.tunnels.stack import PORT, Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine]


@pytest.fixture(autouse=True)
def _all_workers_are_up(stack: Stack) -> None:
    for number in (1, 2):
        wait_for_worker(stack.host("lb1"), number, "UP")


def test_traffic_from_end_to_end(stack: Stack) -> None:
    password = stack.password()
    app = stack.host("app1")
    ask = f"REDISCLI_AUTH={password} valkey-cli -p {PORT} --no-auth-warning"
    assert app.run(f"{ask} SET written at-app1").stdout == "OK\n"
    # On the socket behind both workers, past every tunnel.
    read = f"REDISCLI_AUTH={password} valkey-cli -s /srv/cache-service/valkey.sock --no-auth-warning GET written"
    assert stack.host("worker2").run(read).stdout == "at-app1\n"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_other_worker_takes_over(stack: Stack, fault: Fault) -> None:
    strike(stack, fault)


def test_reload_of_haproxy_cuts_nothing(stack: Stack) -> None:
    app = stack.host("app1")
    with Client(app, PORT) as anew, Client(app, PORT, lasting=True) as lasting:
        since = time.monotonic()
        stack.host("lb1").run(["systemctl", "reload", "haproxy.service"])
        assert (anew.healed(since, watched_for=5), lasting.healed(since, watched_for=5)) == (0, 0)
        assert (anew.failures, lasting.failures) == (0, 0)


def test_keys_are_rotated_on_both_hops_without_an_outage(stack: Stack) -> None:
    app = stack.host("app1")
    with Client(app, PORT) as anew, Client(app, PORT, lasting=True) as lasting:
        stack.up(cacheService={**SERVICE, "keyGeneration": 2})
        assert (anew.failures, lasting.failures) == (0, 0)


def test_second_up_changes_nothing(stack: Stack) -> None:
    before = stack.logins()
    assert stack.up(cacheService=SERVICE).unchanged
    assert stack.logins() == before


def test_refused_configuration_touches_no_host(stack: Stack) -> None:
    before = stack.logins()
    outcome = stack.up(cacheService={**SERVICE, "applicationHosts": ["app1", "app7"]}, check=False)
    assert outcome.code != 0
    assert "cacheService.applicationHosts[1]: 'app7' is no host of this stack: use one of app1, lb1" in outcome.text
    assert stack.logins() == before
