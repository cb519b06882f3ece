"""What is refused, with the property path, the value and the fix."""

from __future__ import annotations

from typing import Any

import pytest

from components.certificates import AuthoritySettings, CertificateSettings, RegionSettings, SharedAuthoritySettings
from components.settings import InvalidConfigurationError, Settings, load


@pytest.mark.parametrize(
    ("model", "data", "problem"),
    [
        (AuthoritySettings, {"signing": 2, "trusted": [1]}, "here.trusted: [1] lacks 2, which signs"),
        (AuthoritySettings, {"trusted": [0, 1]}, "here.trusted[0]: 0 is no generation: they begin with 1"),
        (AuthoritySettings, {"trusted": [1, 1]}, "here.trusted[1]: 1 is listed twice: remove one"),
        (AuthoritySettings, {"commonName": "a\nb"}, "here.commonName: 'a\\nb' is no common name: use up to 64 letters"),
        (CertificateSettings, {"validityDays": 30}, "here.renewalDays: 30 days before the end of 30 every `up`"),
        (CertificateSettings, {"validityDays": 3650}, "here.validityDays (3650): Input should be less than or equal"),
        (CertificateSettings, {"algorithm": "dsa"}, "here.algorithm ('dsa'): Input should be 'ecdsa-p256'"),
        (
            SharedAuthoritySettings,
            {"stack": "a b", "region": "eu"},
            "here.stack: 'a b' is no stack: write organization",
        ),
        (SharedAuthoritySettings, {"stack": "a/b/c", "region": "E"}, "here.region: 'E' is no region: use up to 63"),
        (RegionSettings, {"stack": "a/b/c", "names": []}, "here.names: is empty: list at least one"),
        (RegionSettings, {"stack": "a/b/c", "names": ["a b"]}, "here.names[0]: 'a b' is no name: give a DNS name"),
        (RegionSettings, {"stack": "a/b/c", "names": ["10.0.0.1/8"]}, "here.names[0]: '10.0.0.1/8' is no network: "),
    ],
)
def test_refused(model: type[Settings], data: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(model, data, "here")
    assert any(line.startswith(problem) for line in refused.value.problems), refused.value.problems


def test_generations() -> None:
    assert AuthoritySettings().generations == (1,)
    assert AuthoritySettings(signing=2, trusted=(2, 1)).generations == (1, 2)
