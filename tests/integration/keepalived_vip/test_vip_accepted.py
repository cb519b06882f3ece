"""The packaged keepalived takes the golden files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from components.keepalived_vip import KeepalivedVipSettings, rendering
from components.settings import load
from tests.integration.keepalived_vip.pair import Pair
from tests.unit.keepalived_vip.strategies import groups

pytestmark = [pytest.mark.engine, pytest.mark.lab]

EXAMPLES: Final = 60
_GOLDEN: Final = Path(__file__).parents[2] / "golden" / "keepalived"


def test_golden_files(pair: Pair) -> None:
    host = pair.hosts["lb1"]
    paths = sorted(_GOLDEN.glob("*/*/keepalived.conf"))
    assert len(paths) >= 7
    for path in paths:
        # Interfaces, accounts and programs are those of other hosts.
        text = re.sub(r"\b(eth2|ens3|bond0\.12)$", "eth0", path.read_text(), flags=re.MULTILINE)
        text = text.replace("user postgres", "user nobody").replace("/usr/local/bin/disk-is-well", "/usr/bin/true")
        host.run("cat >/run/golden.conf && keepalived --config-test -f /run/golden.conf", stdin=text)


@pytest.mark.parametrize(
    "fault",
    ["s/advert_int/advert_interval/", "s/interface eth0/interface eth7/", "s/unicast_peer {/unicast_peers {/"],
)
def test_others_are_refused(pair: Pair, fault: str) -> None:
    check = f"sed '{fault}' /etc/keepalived/keepalived.conf >/run/golden.conf && keepalived -t -f /run/golden.conf"
    assert pair.hosts["lb1"].run(check, check=False).returncode != 0


# Reads {name: keepalived.conf}; prints {name: what keepalived says of what it refuses}.
_CHECKER: Final = """
import json, subprocess, sys
refused = {}
for name, text in json.load(sys.stdin).items():
    with open("/run/example.conf", "w") as file:
        file.write(text)
    done = subprocess.run(["keepalived", "--config-test", "-f", file.name], capture_output=True, text=True)
    if done.returncode:
        refused[name] = done.stderr
print(json.dumps(refused))
"""


def test_whatever_the_settings_allow(pair: Pair) -> None:
    texts: dict[str, str] = {}

    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(groups())
    def collect(data: dict[str, Any]) -> None:
        known = load(KeepalivedVipSettings, data, "vip")
        addresses = {node.host: node.address for node in known.nodes if node.address}
        texts[str(len(texts))] = rendering.configuration(known, known.hosts[0], addresses)

    collect()
    assert len(texts) >= EXAMPLES // 2
    host = pair.hosts["lb1"]
    host.run("cat >/run/check.py", stdin=_CHECKER)
    done = host.run("PYTHONUTF8=1 python3 /run/check.py", stdin=json.dumps(texts), timeout=300)
    refused: dict[str, str] = json.loads(done.stdout)
    assert not refused, "\n".join(f"{said}\n{texts[name]}" for name, said in list(refused.items())[:2])
