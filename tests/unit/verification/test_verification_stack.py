"""What is read from a state."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cache_service.settings import PASSWORD
from components.haproxy_load_balancer import rendering
from components.host import File, RoleSpec
from components.host.bundle import pack
from tests.integration.support import ROOT
from tests.unit.verification.samples import resource, secret, urn
from verification import stack as reader
from verification.export import State, UnusableStackError, parse
from verification.model import Endpoint, Host, Login, Stack
from verification.stack import RULES, read

HOST: Final = "sealed-data-tier:host:Host"
ROLE: Final = "sealed-data-tier:host:Role"
COMMAND: Final = "command:remote:Command"
TUNNELS: Final = "sealed-data-tier:ssh_tunnel_host:SshTunnelHost"
ADMISSION: Final = "sealed-data-tier:ssh_tunnel_host:SshTunnelServer"
LAB: Final = "sealed-data-tier:lab:Lab"
BALANCER: Final = "sealed-data-tier:haproxy_load_balancer:HaproxyLoadBalancer"
CACHE: Final = "sealed-data-tier:cache_service:CacheService"

PIN: Final = "ssh-ed25519 AAAA"
KEY: Final = "/etc/ssh/sealed-data-tier/tunnel/id_ed25519"
CONFIG: Final = "/etc/ssh/sealed-data-tier/tunnel/lb-30379.conf"


def state(*resources: dict[str, Any]) -> State:
    """A state of some resources, as the CLI prints it."""
    return parse(json.dumps({"version": 3, "deployment": {"resources": resources}}))


def host(
    name: str, *, create: str = "sudo -n -- sh", stdin: str = "\nscript", **connection: Any
) -> list[dict[str, Any]]:
    """A host with its command."""
    whole = {"host": f"{name}.example.com", "port": 22.0, "user": "ops", "hostKey": PIN, **connection}
    inputs = {"connection": whole, "create": create, "stdin": secret(json.dumps(stdin))}
    return [
        resource(HOST, name, inputs={"address": f"{name}.example.com"}, outputs={"address": f"{name}.internal"}),
        resource(COMMAND, f"{name}-runtime", parent=urn(HOST, name), inputs=inputs),
    ]


def role(
    name: str, on: str, texts: dict[str, str], secrets: dict[str, str], *, parent: str = "", **inputs: Any
) -> list[dict[str, Any]]:
    """A role with its command."""
    files = [File(path=path, content=text) for path, text in texts.items()]
    files += [File(path=path, content=text, mode=0o600, secret=True) for path, text in secrets.items()]
    stdin = pack(RoleSpec(name=name, files=tuple(files)), {**texts, **secrets}, family="debian")
    modes = {file.path: f"{file.mode:04o} {file.owner}:{file.group}" for file in files}
    reviewed = {"host": on, "role": name, "files": texts, "modes": modes, "secretFiles": list(secrets), **inputs}
    return [
        resource(ROLE, name, parent=parent, inputs=reviewed),
        resource(COMMAND, f"{on}-{name}", parent=urn(ROLE, name), inputs={"stdin": secret(json.dumps(stdin))}),
    ]


def balancer(*binds: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """A load balancer on host `lb`."""
    frontends = [{"name": "front", "binds": list(binds)}]
    return resource(
        BALANCER,
        "balancer",
        parent=urn(CACHE, "cache"),
        inputs={"host": "lb", "settings": {"frontends": frontends, **settings}},
        outputs={"statsSocket": "/run/haproxy/admin.sock"},
    )


def only(stack: Stack) -> Host:
    """The one host of a stack."""
    return next(iter(stack.hosts.values()))


def test_host_is_reached_as_its_commands_reach_it() -> None:
    found = only(read(state(*host("app", privateKey=secret('"a key"'), port=2222.0))))
    assert found.login == Login(address="app.example.com", port=2222, user="ops", host_key=PIN, private_key="a key")
    assert found.bastion is None
    assert found.address == "app.internal"
    assert found.sudo_password is None


def test_bastion_and_sudo_password_are_read() -> None:
    proxy = {"host": "bastion", "user": "jump", "hostKey": PIN}
    found = only(read(state(*host("app", create="sh x -S install", stdin="open sesame\nscript", proxy=proxy))))
    assert found.bastion == Login(address="bastion", port=22, user="jump", host_key=PIN)
    assert found.sudo_password == "open sesame"


def test_host_that_was_never_reached_has_no_login() -> None:
    assert only(read(state(host("app")[0]))).login is None


def test_no_secret_is_shown() -> None:
    command = host("app", create="sh x -S install", stdin="open sesame\nscript", privateKey=secret('"a key"'))
    texts = role("tunnels", "app", {}, {KEY: "a secret"})
    shown = repr(read(state(*command, *texts)))
    assert not [word for word in ("open sesame", "a key", "a secret") if word in shown]


def test_files_are_those_that_were_reviewed_and_those_that_were_sent() -> None:
    places = {"/etc/x": "0755 root:root", "/etc/x/y.d": "0755 root:root"}
    roles = role("tunnels", "app", {CONFIG: "reviewed"}, {KEY: "sent"}, directories=places, discards=["/etc/x/y.d"])
    found = only(read(state(*host("app"), *roles)))
    assert (found.files[CONFIG].text, found.files[CONFIG].secret, found.files[CONFIG].mode) == (
        "reviewed",
        False,
        "0644",
    )
    assert (found.files[KEY].text, found.files[KEY].secret, found.files[KEY].owner) == ("sent", True, "root:root")
    assert found.directories == {"/etc/x": ("0755", "root:root")}
    assert found.filled == {"/etc/x/y.d"}


def test_role_that_never_ran_has_no_text_of_its_secret_files() -> None:
    declared, _ = role("tunnels", "app", {CONFIG: "reviewed"}, {KEY: "sent"})
    files = only(read(state(*host("app"), declared))).files
    assert files[CONFIG].text == "reviewed"
    assert files[KEY].text is None


def test_resources_that_are_about_to_go_do_not_count() -> None:
    gone = {**role("tunnels", "app", {CONFIG: "old"}, {})[0], "delete": True}
    assert only(read(state(*host("app"), gone))).files == {}


def test_ends_of_tunnels_and_binds_are_what_listens() -> None:
    ssh = "Host lb-30379\n  LocalForward 127.0.0.1:30379 127.0.0.1:30379\n"
    haproxy = "frontend f\n  bind 127.0.0.1:6380\n  bind [::1]:6380\nglobal\n  stats socket /run/haproxy/admin.sock\n"
    sshd = "Match User tunnel\n  PermitOpen 127.0.0.1:30380 10.0.0.1:30381\n"
    files = {CONFIG: ssh, "/etc/haproxy/haproxy.cfg": haproxy, "/etc/ssh/sshd_config.d/50-tunnel.conf": sshd}
    stack = read(state(*host("app"), *role("all", "app", files, {})))
    assert only(stack).listeners == {
        Endpoint("127.0.0.1", 30379): "ssh",
        Endpoint("127.0.0.1", 6380): "haproxy",
        Endpoint("::1", 6380): "haproxy",
    }
    assert only(stack).targets == {Endpoint("127.0.0.1", 30380), Endpoint("10.0.0.1", 30381)}
    assert stack.sealed_ports == {30379, 6380, 30380, 30381}
    assert only(stack).declares(Endpoint("10.0.0.1", 30381))
    assert not only(stack).declares(Endpoint("10.0.0.1", 30380))


def test_ports_that_the_firewall_closes_to_everybody() -> None:
    rules = (ROOT / "tests/golden/firewall/guard.nft").read_text()
    assert "tcp dport { 6379, 30379 } counter drop" in rules
    guarded = only(read(state(*host("worker"), *role("guard", "worker", {RULES: rules}, {})))).guarded
    assert guarded == {30379}, "6379 is for some"
    assert only(read(state(*host("worker")))).guarded == frozenset()


def test_exposed_bind_is_declared_on_its_host_and_sealed_nowhere() -> None:
    bind = {"address": "0.0.0.0", "port": 443, "exposedBecause": "the world connects"}
    peers = {"tls": True, "members": [{"name": "lb", "address": "10.0.0.1", "port": 10000}]}
    files = {"/etc/haproxy/haproxy.cfg": "frontend f\n  bind 0.0.0.0:443\npeers p\n  bind 10.0.0.1:10000\n"}
    stack = read(state(*host("lb"), balancer(bind, peers=peers), *role("haproxy", "lb", files, {})))
    assert only(stack).declares(Endpoint("10.0.0.1", 443))
    assert only(stack).declares(Endpoint("10.0.0.1", 10000))
    assert not only(stack).declares(Endpoint("10.0.0.2", 10000))
    assert stack.sealed_ports == set()
    assert only(stack).balancers[0].exposed == {"front"}


def cache(password: str) -> Stack:
    """A cache service whose password is one of the state's."""
    text = rendering.environment({PASSWORD: password}, fingerprint="x")
    tunnels = [
        resource(
            TUNNELS,
            f"tunnels-{name}",
            parent=urn(CACHE, "cache"),
            inputs={"host": name, "units": ["u.service"], "localEndpoints": ["127.0.0.1:30379"]},
        )
        for name in ("app", "lb")
    ]
    let_in = [
        resource(
            ADMISSION,
            f"tunnels-{name}-server",
            parent=urn(CACHE, "cache"),
            inputs={"host": name, "user": "tunnel", "clients": []},
        )
        for name in ("lb", "worker")
    ]
    return read(
        state(
            *(each for name in ("app", "lb") for each in host(name)),
            resource(CACHE, "cache", inputs={"loadBalancer": "lb"}),
            *tunnels,
            *let_in,
            balancer({"address": "127.0.0.1", "port": 30379}),
            *role("haproxy", "lb", {}, {rendering.ENVIRONMENT: text}, parent=urn(BALANCER, "balancer")),
            *role("tunnels", "app", {}, {KEY: "a key"}, parent=urn(TUNNELS, "tunnels-app"), users=["tunnel / /no"]),
        )
    )


def test_applications_of_a_cache_are_the_hosts_before_its_load_balancer() -> None:
    found = cache("pass word")
    assert found.caches[0].applications == {"app": Endpoint("127.0.0.1", 30379)}
    assert found.caches[0].workers == {"worker"}
    assert [(each.user, each.key) for each in found.hosts["app"].tunnels] == [("tunnel", "a key")]


def test_a_lab_tells_what_it_has() -> None:
    lab = resource(LAB, "lab", outputs={"cache": "the cache is a stand-in"})
    assert read(state(*host("app"), lab)).lab == "the cache is a stand-in"
    assert read(state(*host("app"), resource(LAB, "lab"))).lab == ""


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_password_is_read_back(password: str) -> None:
    assert cache(password).caches[0].password == password


def test_names_are_those_of_the_components() -> None:
    assert (reader.PASSWORD, reader.ENVIRONMENT) == (PASSWORD, rendering.ENVIRONMENT)


def test_stack_without_hosts_is_refused_with_the_fix() -> None:
    with pytest.raises(UnusableStackError, match="make up"):
        read(parse('{"version": 3}'))


def test_secret_that_cannot_be_read_is_told() -> None:
    sealed = {**secret(""), "ciphertext": "v1:abc"}
    del sealed["plaintext"]
    with pytest.raises(UnusableStackError, match="passphrase"):
        state(resource(HOST, "app", inputs={"address": sealed}))


@given(
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str),
    st.integers(min_value=1, max_value=65535),
)
def test_endpoints_are_read_as_they_are_written(address: str, port: int) -> None:
    assert Endpoint.of(str(Endpoint(address, port))) == Endpoint(address, port)


@pytest.mark.parametrize("text", ["/run/haproxy/admin.sock", "unix@/run/x", "", "127.0.0.1:*", "localhost"])
def test_what_is_no_endpoint_is_none(text: str) -> None:
    assert Endpoint.of(text) is None
