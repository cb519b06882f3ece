"""Virtual IPs that follow a health check, by keepalived."""

from components.keepalived_vip.arguments import KeepalivedVipArgs
from components.keepalived_vip.checks import haproxy_ready
from components.keepalived_vip.component import KeepalivedVip
from components.keepalived_vip.settings import (
    FailoverMail,
    KeepalivedVipSettings,
    NotifyHook,
    TrackScript,
    VrrpInstance,
    VrrpNode,
)

__all__ = [
    "FailoverMail",
    "KeepalivedVip",
    "KeepalivedVipArgs",
    "KeepalivedVipSettings",
    "NotifyHook",
    "TrackScript",
    "VrrpInstance",
    "VrrpNode",
    "haproxy_ready",
]
