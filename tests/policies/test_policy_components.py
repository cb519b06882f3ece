"""What this project's own components write breaks no rule, and one changed line of it does."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
import yaml

from components.cache_service import CacheService, CacheServiceArgs, CacheServiceSettings
from components.certificates import CertificateAuthority
from components.firewall import Firewall, FirewallArgs
from components.host import BastionArgs, Host, HostArgs
from components.postgres_ha_pair import PostgresHaPair, PostgresHaPairArgs, PostgresHaSettings
from components.redis_tls_cluster import RedisTlsCluster, RedisTlsClusterArgs, RedisTlsSettings
from components.settings import load
from tests.integration.support import ROOT
from tests.policies.support import HOST_KEY, ROLE, validate

PASSWORD = "C4che-passw0rd"
PRIVATE_KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----\n"
)
CONNECTIONS = {
    "host": "app1",
    "script": "/opt/configureCacheService.sh",
    "url": "https://connections.example.com",
    "user": "admin",
    "password": "Adm1n-passw0rd",
}
SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"
PAIR = {
    "nodes": [{"host": "redis1"}, {"host": "redis2"}],
    "witness": {"host": "redis3"},
    "databases": [{"name": "orders", "user": "shop", "clients": ["192.0.2.1"]}],
    "virtualAddresses": ["192.0.2.100"],
}
HOSTS = ("app1", "app2", "lb1", "worker1", "worker2", "redis1", "redis2", "redis3")


def revealed(value: Any) -> Any:
    """Take secrets out of their envelopes, as the policy SDK does."""
    if isinstance(value, dict):
        return (
            revealed(value["value"])
            if SECRET_SIGNATURE in value
            else {key: revealed(each) for key, each in value.items()}
        )
    return [revealed(each) for each in value] if isinstance(value, list) else value


class Recorder(pulumi.runtime.Mocks):
    """Takes down every resource that is registered."""

    def __init__(self) -> None:
        self.resources: list[tuple[str, str, dict[str, Any]]] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.resources.append((args.typ, args.name, revealed(dict(args.inputs))))
        keys = {
            "privateKeyOpenssh": PRIVATE_KEY,
            "publicKeyOpenssh": f"{HOST_KEY}\n",
            "privateKeyPem": PRIVATE_KEY,
            "privateKeyPemPkcs8": PRIVATE_KEY,
            "certPem": f"the certificate {args.name}\n",
            "certRequestPem": f"the request {args.name}\n",
            "validityEndTime": f"{2040 if 'SelfSigned' in args.typ else 2030}-01-01T00:00:00Z",
        }
        return f"{args.name}-id", {**args.inputs, **(keys if args.typ.startswith("tls:") else {})}

    def call(self, _: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], None]:
        return {}, None


@pytest.fixture(scope="module")
def resources() -> list[tuple[str, str, dict[str, Any]]]:
    """The dev stack's services on hosts with everything that a host may have."""
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder)
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def build() -> pulumi.Output[str]:
        hosts = {name: Host(name, arguments(number)) for number, name in enumerate(HOSTS, start=1)}
        data = {**config["sealed-data-tier:cacheService"], "connections": CONNECTIONS}
        settings = load(CacheServiceSettings, data, "cacheService")
        args = CacheServiceArgs(settings=settings, hosts=hosts, password=pulumi.Output.secret(PASSWORD))
        cache = CacheService("cache-service", args)
        (group,) = config["sealed-data-tier:redis"]
        authority = CertificateAuthority("root")
        redis = RedisTlsCluster(
            "orders",
            RedisTlsClusterArgs(settings=load(RedisTlsSettings, group, "redis"), hosts=hosts, authority=authority),
        )
        PostgresHaPair(
            "pair",
            PostgresHaPairArgs(settings=load(PostgresHaSettings, PAIR, "postgres"), hosts=hosts, authority=authority),
        )
        for name, service in (("worker1", cache), ("redis1", redis)):
            Firewall(name, FirewallArgs(host=hosts[name], flows=service.flows[name]))
        return redis.urn

    build()
    return recorder.resources


def arguments(number: int) -> HostArgs:
    key = pulumi.Output.secret(f"key-of-host-{number}-0A")
    bastion = BastionArgs(address="192.0.2.250", user="hop", host_key=HOST_KEY, private_key=key)
    return HostArgs(
        address=f"192.0.2.{number}",
        user="ops",
        host_key=HOST_KEY,
        private_key=key,
        sudo_password=pulumi.Output.secret("Sud0-passw0rd"),
        bastion=bastion,
    )


def test_everything_that_is_registered(resources: list[tuple[str, str, dict[str, Any]]]) -> None:
    said = {name: outcome for kind, name, inputs in resources if (outcome := validate(kind, inputs)).violations}
    assert said == {}
    assert {kind for kind, _, _ in resources} >= {ROLE, "command:remote:Command", "command:local:Command"}


def test_nothing_of_it_escapes_the_rules(resources: list[tuple[str, str, dict[str, Any]]]) -> None:
    notes = {name: notes for kind, name, inputs in resources if (notes := validate(kind, inputs).notes)}
    assert notes == {}


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        ("bind 127.0.0.1:30379", "bind :30379", "haproxy-bind"),
        ("LocalForward 127.0.0.1:", "LocalForward 0.0.0.0:", "tunnel-bind"),
        ("StrictHostKeyChecking yes", "StrictHostKeyChecking no", "tunnel-client"),
        ("ForceCommand /usr/sbin/nologin", "", "tunnel-server"),
        ("restrict,port-forwarding", "port-forwarding", "tunnel-key"),
        ("LoadCredential=", "Environment=", "tunnel-unit"),
        ("${CACHE_SERVICE_PASSWORD}", PASSWORD, "secret-in-file"),
        ("\nport 0\n", "\nport 6379\n", "redis-port redis-bind"),
        ("tls-auth-clients yes", "tls-auth-clients no", "redis-bind"),
        ("tls-replication yes", "tls-replication no", "redis-bus"),
        ("protected-mode yes", "protected-mode no", "redis-protected-mode"),
        ('tls-protocols "TLSv1.2 ', 'tls-protocols "TLSv1.1 TLSv1.2 ', "redis-protocols"),
        ("tls-ciphers ECDHE+AESGCM", "tls-ciphers RC4", "redis-ciphers"),
        ("    ssl: 'on'\n", "    ssl: 'off'\n", "postgres-ssl"),
        ("- hostssl orders", "- host orders", "postgres-hba"),
        ("scram-sha-256\n  - hostssl replication", "md5\n  - hostssl replication", "postgres-hba"),
        ("scram-sha-256 clientcert=verify-ca", "trust", "postgres-hba"),
        (",192.0.2.100,127.0.0.1:5432", ",0.0.0.0:5432", "postgres-listen"),
        ("password_encryption: scram-sha-256", "password_encryption: md5", "postgres-passwords"),
        ("  - data-checksums\n", "", "postgres-checksums"),
        ("max_slot_wal_keep_size: 10GB", "max_slot_wal_keep_size: -1", "postgres-slots"),
        ("  certfile: /etc/postgres-pair/tls/node.crt\n  keyfile", "  keyfile", "patroni-rest"),
        ("verify_client: optional", "verify_client: none", "patroni-rest"),
        ("  protocol: https\n", "  protocol: http\n", "patroni-etcd"),
        ("ETCD_LISTEN_CLIENT_URLS=https", "ETCD_LISTEN_CLIENT_URLS=http", "etcd-tls"),
        ("ETCD_PEER_CLIENT_CERT_AUTH=true", "ETCD_PEER_CLIENT_CERT_AUTH=false", "etcd-tls"),
    ],
)
def test_one_changed_line(resources: list[tuple[str, str, dict[str, Any]]], old: str, new: str, rules: str) -> None:
    changed = 0
    for kind, _, inputs in resources:
        if kind != ROLE:
            continue
        files = {path: text.replace(old, new) for path, text in inputs.get("files", {}).items()}
        if files != inputs.get("files"):
            changed += 1
            outcome = validate(kind, {**inputs, "files": files})
            assert outcome.rules == set(rules.split())
            assert PASSWORD not in str(outcome)
    assert changed
