"""Two lab hosts, one of them with the firewall that the configuration says."""

import pulumi

from components import Firewall, FirewallArgs, FirewallSettings, Flow, FlowProtocol, Host, HostArgs
from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

config = pulumi.Config()
lab = Lab("lab", LabArgs(settings=load(LabSettings, config.require_object("lab"), "lab")))
guarded, outsider = lab.endpoints["guarded"], lab.endpoints["outsider"]

if config.get_bool("host") is not False:
    host = Host(
        "guarded",
        HostArgs(
            address=guarded.address,
            user=config.get("user") or guarded.user,
            host_key=guarded.host_key,
            private_key=guarded.private_key,
            sudo_password=lab.sudo_password if config.get_bool("sudoPassword") else None,
            incarnation=pulumi.Output.format("{0}{1}", guarded.container_id, config.get("incarnation") or ""),
        ),
    )
    if config.get_bool("firewall") is not False:
        known = {"outsider": outsider.address, "outsider6": outsider.address6}
        flows = [
            Flow(
                port=each.get("port"),
                sources=each["sources"] if each["sources"] == "any" else [known.get(s, s) for s in each["sources"]],
                purpose=each.get("purpose") or "a test",
                protocol=FlowProtocol(each.get("protocol") or "tcp"),
            )
            for each in config.require_object("flows")
        ]
        settings = load(FirewallSettings, config.get_object("settings") or {}, "firewall")
        Firewall("guard", FirewallArgs(host=host, flows=flows, settings=settings))
