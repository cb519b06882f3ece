"""A stack of two lab hosts without any role; the tests bring HAProxy to them."""

from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

Lab(
    "lab",
    LabArgs(
        settings=LabSettings.model_validate(
            {
                "prefix": "sdt-haproxy",
                "hosts": ["lb1", "lb2"],
                "subnet": "10.203.22.0/24",
                "subnet6": None,
                "cache": None,
            }
        )
    ),
)
