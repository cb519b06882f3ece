"""A lab, a group of Redis under Sentinel, and HAProxy before it.

`wrong` is what health checks have of others: the `certificate`, the `names` that they look for, or the `password`.
"""

import pulumi

from components import (
    Bind,
    Certificate,
    CertificateArgs,
    CertificateAuthority,
    Frontend,
    HaproxyLoadBalancer,
    HaproxyLoadBalancerArgs,
    HaproxySettings,
    Host,
    RedisTlsCluster,
    RedisTlsClusterArgs,
    RedisTlsSettings,
    Timeouts,
    Usage,
)
from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

config = pulumi.Config()
lab_settings = load(LabSettings, config.require_object("lab"), "lab")
lab = Lab("lab", LabArgs(settings=lab_settings))
hosts = {name: Host(name, endpoint.arguments) for name, endpoint in lab.endpoints.items()}
authority, stranger = CertificateAuthority("root"), CertificateAuthority("stranger")
if (data := config.get_object("redis")) is not None:
    group = RedisTlsClusterArgs(settings=load(RedisTlsSettings, data, "redis"), hosts=hosts, authority=authority)
    cluster = RedisTlsCluster("orders", group)
    wrong = config.get("wrong")
    signer = stranger if wrong == "certificate" else authority
    checker = Certificate(
        "orders-check", CertificateArgs(authority=signer, common_name="HAProxy of orders", usage=Usage.CLIENT)
    )
    bind = Bind(address=lab_settings.address("lb1"), port=6379, exposed_because="applications that ask no Sentinel")
    backend = group.primary_backend(user="haproxy", password="ORDERS_PASSWORD")
    if wrong == "names":
        others = (each.model_copy(update={"certificate_name": f"another {each.name}"}) for each in backend.servers)
        backend = backend.model_copy(update={"servers": tuple(others)})
    HaproxyLoadBalancer(
        "orders-balancer",
        HaproxyLoadBalancerArgs(
            host=hosts["lb1"],
            settings=HaproxySettings(
                frontends=(Frontend(name="orders-in", binds=(bind,), default_backend=backend.name),),
                backends=(backend,),
                timeouts=Timeouts(check="1s"),
            ),
            passwords={"ORDERS_PASSWORD": cluster.passwords["app" if wrong == "password" else "haproxy"]},
            check_certificate=pulumi.Output.concat(checker.certificate, checker.private_key),
            check_authority=cluster.authority,
        ),
    )
    pulumi.export("redis", cluster.outputs)
