"""The real nft takes the golden files and whatever else the settings allow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from components.firewall import FirewallSettings, rendering
from components.firewall.rendering import Rule
from tests.integration.firewall.conftest import Stage
from tests.unit.firewall.strategies import RULES, SETTINGS, SSH_PORT

pytestmark = [pytest.mark.lab, pytest.mark.engine]

EXAMPLES: Final = 150
_GOLDEN: Final = Path(__file__).parents[2] / "golden" / "firewall"
# Reads {name: firewall.nft}; prints {name: what nft says of what it refuses, or does not have as it was written}. A
# namespace of its own, since only the kernel has the last word on what is loaded.
_CHECKER: Final = """
import json, subprocess, sys
wrong = {}
for name, text in json.load(sys.stdin).items():
    for words in (["-c", "-f", "-"], ["-f", "-"], ["list", "table", "inet", "sealed_data_tier"]):
        done = subprocess.run(["nft", *words], input=text, capture_output=True, text=True)
        if done.returncode:
            wrong[name] = done.stderr
    comment = next(line.strip() for line in text.splitlines() if "comment" in line)
    if comment not in done.stdout:
        wrong.setdefault(name, done.stdout)
print(json.dumps(wrong))
"""


def check(stage: Stage, texts: dict[str, str]) -> dict[str, str]:
    stage.outsider.run("cat >/run/check.py", stdin=_CHECKER)
    done = stage.outsider.run(
        ["unshare", "--net", "env", "PYTHONUTF8=1", "python3", "/run/check.py"], stdin=json.dumps(texts), timeout=300
    )
    wrong: dict[str, str] = json.loads(done.stdout)
    return wrong


def test_golden_files(bare: Stage) -> None:
    texts = {path.stem: path.read_text() for path in _GOLDEN.glob("*.nft")}
    assert len(texts) >= 3
    assert check(bare, texts) == {}


def test_whatever_the_settings_allow(bare: Stage) -> None:
    texts: dict[str, str] = {}

    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(RULES, SETTINGS)
    def collect(declared: list[Rule], given_settings: FirewallSettings) -> None:
        texts[str(len(texts))] = rendering.rules(declared, given_settings, SSH_PORT)

    collect()
    assert len(texts) >= EXAMPLES // 2
    wrong = check(bare, texts)
    assert not wrong, "\n".join(f"{said}\n{texts[name]}" for name, said in list(wrong.items())[:3])
