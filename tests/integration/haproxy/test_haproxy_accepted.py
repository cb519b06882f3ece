"""The packaged HAProxy takes, without a warning, the golden files and whatever else the settings allow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from components.haproxy_load_balancer import HaproxySettings, rendering
from components.settings import load
from lab.machine import LabHost
from tests.authority import Authority
from tests.unit.haproxy_load_balancer import strategies

pytestmark = pytest.mark.lab

EXAMPLES: Final = 150
_GOLDEN: Final = Path(__file__).parents[2] / "golden" / "haproxy"
_IDENTITY: Final = "/root/stage-identity.pem"
_IDENTITIES: Final = (
    rendering.PEER_CERTIFICATE,
    rendering.PEER_AUTHORITY,
    rendering.CHECK_CERTIFICATE,
    rendering.CHECK_AUTHORITY,
)
# Reads {name: [environment.cfg, haproxy.cfg]}, prints {name: what HAProxy says of what it refuses}.
_CHECKER: Final = """
import json, pathlib, subprocess, sys, tempfile
refused = {}
for name, texts in json.load(sys.stdin).items():
    with tempfile.TemporaryDirectory() as directory:
        words = ["haproxy", "-c", "-dW"]
        for number, text in enumerate(texts):
            path = pathlib.Path(directory, str(number))
            path.write_text(text)
            words += ["-f", str(path)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            refused[name] = done.stderr
print(json.dumps(refused))
"""


def check(host: LabHost, files: dict[str, list[str]], *, other_key: bool = False) -> dict[str, str]:
    host.run("cat >/root/stage-check.py", stdin=_CHECKER)
    authority = Authority()
    chain, key = authority.issue("lb.example.com")
    if other_key:
        _, key = authority.issue("lb.example.com")
    host.run(f"umask 077; cat >{_IDENTITY}", stdin=chain + key)
    for path in _IDENTITIES:
        files = {name: [text.replace(path, _IDENTITY) for text in texts] for name, texts in files.items()}
    done = host.run("PYTHONUTF8=1 python3 /root/stage-check.py", stdin=json.dumps(files), timeout=300)
    refused: dict[str, str] = json.loads(done.stdout)
    return refused


def golden_files() -> dict[str, list[str]]:
    passwords = {
        "CACHE_SERVICE_PASSWORD": "x" * 512,
        "ORDERS_PASSWORD": "x" * 64,
        "VALKEY_PASSWORD": "'\"\\ $%\n\xe4" * 64,
    }
    environment = rendering.environment(passwords, fingerprint="0123456789abcdef")
    return {path.stem: [environment, path.read_text()] for path in _GOLDEN.glob("*.cfg")}


def test_golden_files(load_balancers: tuple[LabHost, LabHost]) -> None:
    files = golden_files()
    assert len(files) >= 4
    assert check(load_balancers[1], files) == {}


def test_a_certificate_with_another_key_is_refused(load_balancers: tuple[LabHost, LabHost]) -> None:
    refused = check(load_balancers[1], golden_files(), other_key=True)
    assert set(refused) == {"pair", "redis-tls"}


def test_whatever_the_settings_allow(load_balancers: tuple[LabHost, LabHost]) -> None:
    files: dict[str, list[str]] = {}

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(strategies.settings())
    def collect(data: dict[str, Any]) -> None:
        model = load(HaproxySettings, data, "haproxy")
        text = rendering.configuration(model, stats_socket="/run/haproxy/admin.sock", local_peer="lb1")
        environment = rendering.environment(dict.fromkeys(model.passwords, "secret"), fingerprint="0123456789abcdef")
        files[f"example {len(files)}"] = [environment, text]

    collect()
    refused = check(load_balancers[1], files)
    first = next(iter(refused), None)
    assert not refused, f"{len(refused)} of {len(files)}, the first:\n{files[first or ''][1]}\n{refused[first or '']}"
