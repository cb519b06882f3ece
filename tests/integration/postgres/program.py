"""A lab, an authority, and a pair of PostgreSQL servers on the lab's hosts as the configuration says."""

from dataclasses import replace

import pulumi

from components import (
    AuthoritySettings,
    CertificateAuthority,
    CertificateAuthorityArgs,
    Firewall,
    FirewallArgs,
    FirewallSettings,
    Host,
    PostgresHaPair,
    PostgresHaPairArgs,
    PostgresHaSettings,
)
from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

config = pulumi.Config()
lab = Lab("lab", LabArgs(settings=load(LabSettings, config.require_object("lab"), "lab")))
authority = CertificateAuthority(
    "root",
    CertificateAuthorityArgs(settings=load(AuthoritySettings, config.get_object("authority") or {}, "authority")),
)
if (data := config.get_object("postgres")) is not None:
    hosts = {name: Host(name, endpoint.arguments) for name, endpoint in lab.endpoints.items()}
    settings = load(PostgresHaSettings, data, "postgres")
    args = PostgresHaPairArgs(settings=settings, hosts=hosts, authority=authority)
    walls = [
        Firewall(name, FirewallArgs(host=hosts[name], flows=args.flows(name), settings=FirewallSettings()))
        for name in (args.members if config.get_bool("firewall") else ())
    ]
    pair = PostgresHaPair("ccc", replace(args, after=[wall.confirmation for wall in walls]))
    pulumi.export("postgres", pair.outputs)
