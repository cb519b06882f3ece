"""A host's firewall from declared flows: who may reach which port."""

from components.firewall.component import Firewall, FirewallArgs
from components.firewall.settings import FirewallSettings, Flow, FlowProtocol, Mode, Refusal

__all__ = ["Firewall", "FirewallArgs", "FirewallSettings", "Flow", "FlowProtocol", "Mode", "Refusal"]
