"""Real JVMs with what the component mounts and tells them, as clients of a Redis that asks for certificates."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from components.certificates.key_stores import key_store, trust_store
from tests.integration.cluster.spinnaker import service_image
from tests.integration.cluster.spinnaker.operator import HEAP
from tests.integration.cluster.spinnaker.stack import CACHE, HALYARD, HOME, NAMESPACE, REDIS, THEIRS, Stack
from tests.integration.redis_tls import identities
from tests.integration.support import ROOT, wait_for
from tests.integration.verification.verdict import verify

pytestmark = [pytest.mark.engine, pytest.mark.lab]

MOUNT: Final = "/opt/redis-mtls"
FILE: Final = f"@{MOUNT}/jvm-options"
HALYARDS: Final = HEAP.removeprefix("-XX:").replace("=", " ")
BOTH: Final = ("--selector=app in (gate, igor)",)
# A server that refuses ends the connection. A client that was still writing sees that, and not why.
CUT_OFF: Final = "Broken pipe|Connection reset|end of stream"
NO_PATH: Final = "unable to find valid certification path to requested target"


@pytest.fixture(scope="module", autouse=True)
def _running(stack: Stack) -> None:
    """Both services of one Spinnaker, each with another Jedis."""
    stack.operator.run("gate", stack.spinnaker(), jedis=service_image.RELEASED)
    stack.operator.run("igor", stack.spinnaker(), jedis=service_image.CURRENT)


@pytest.mark.parametrize("service", ["gate", "igor"])
def test_services_read_and_write_with_the_heap_that_halyard_gives_them(stack: Stack, service: str) -> None:
    assert stack.operator.ask(service, "try", stack.url) == "read back what was written"
    assert stack.operator.ask(service, "heap") == HALYARDS
    assert stack.operator.ask(service, "events", stack.url) == "__keyevent@0__:expired"


def test_no_password_is_seen_in_pods_or_in_the_spinnaker_service(stack: Stack) -> None:
    pods = stack.cluster.kubectl("-n", NAMESPACE, "get", "pods,deployments", *BOTH, "--output=yaml")
    process = stack.cluster.exec(NAMESPACE, stack.operator.pod("gate"), "cat", "/proc/1/environ", "/proc/1/cmdline")
    shown = (pods, process, json.dumps(stack.spinnaker()), stack.project.pulumi("preview", "--diff").text)
    assert "Service" in process
    assert "kind: Pod\n" in pods
    assert "kind: Deployment\n" in pods
    assert not [text[:40] for text in shown for password in stack.passwords() if password in text]


def put(stack: Stack, service: str, name: str, content: bytes) -> str:
    """Put a file into a service's container, and return its path."""
    writing = ("exec", "--stdin", stack.operator.pod(service), "--", "sh", "-c", f"base64 --decode >/tmp/{name}")
    stack.cluster.kubectl("-n", NAMESPACE, *writing, stdin=base64.b64encode(content).decode())
    return f"/tmp/{name}"


def test_the_name_that_is_dialled_is_held_against_the_certificate(stack: Stack) -> None:
    chosen = ("get", "pod", "ci-server-0", "--output=jsonpath={.status.podIP}")
    address = stack.cluster.kubectl("-n", CACHE, *chosen)
    for name in (f"ci.{CACHE}", f"ci.{CACHE}.svc.cluster.local", f"ci-server-0.ci-servers.{CACHE}.svc"):
        assert "NOAUTH" in dialled(stack, name)
    assert f"No subject alternative names matching IP address {address} found" in dialled(stack, address)


def dialled(stack: Stack, name: str) -> str:
    """What Redis says to a service that dials another name of it, and gives no password."""
    return told(stack, f"-Dredis.connection=rediss://{name}:6379")


# --- what fails, and how ------------------------------------------------------------------------------------------


def told(stack: Stack, *options: str) -> str:
    """What a service says of Redis with other options behind its own."""
    given = " ".join((FILE, *options))
    return stack.operator.ask("igor", "try", stack.url, check=False, JDK_JAVA_OPTIONS=given)


def test_java_fails_without_a_certificate_and_with_a_wrong_authority(stack: Stack) -> None:
    assert told(stack) == "read back what was written"
    assert re.search(f"certificate_required|{CUT_OFF}", told(stack, "-Djavax.net.ssl.keyStore="))
    assert NO_PATH in told(stack, "-Djavax.net.ssl.trustStore=/etc/ssl/certs/java/cacerts")
    assert "JedisConnectionException" in told(stack, f"-Dredis.connection={stack.url.replace('rediss', 'redis')}")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("none", "read back what was written"),
        ("ended", f"certificate_expired|{CUT_OFF}"),
        ("stranger's", f"unknown_ca|{CUT_OFF}"),
    ],
)
def test_java_fails_with_another_certificate_if_it_is_wrong(
    stack: Stack, tmp_path: Path, fault: str, said: str
) -> None:
    signer = identities.stranger() if fault == "stranger's" else stack.authority()
    made = identities.issue(tmp_path, "other", signer, ended=fault == "ended", root=tmp_path / "root.crt")
    assert made.certificate
    assert made.key
    store = key_store(made.certificate.read_text(), made.key.read_text(), "changeit", alias="other")
    path = put(stack, "igor", "other.p12", store)
    answer = told(stack, f"-Djavax.net.ssl.keyStore={path}", "-Djavax.net.ssl.keyStorePassword=changeit")
    assert re.search(said, answer), answer


@pytest.fixture
def client(stack: Stack) -> Iterator[str]:
    """A folder on Redis' host with what the services have, and somebody else's authority."""
    host, folder = stack.cluster.host(REDIS), "/root/client"
    known = stack.client("other")
    strange = identities.stranger()[0].public_bytes(serialization.Encoding.PEM).decode()
    files = {"ca.crt": known["trusted"], "redis_client.crt": known["certificate"], "redis_client.key": known["key"]}
    host.run(f"install -d -m 0700 {folder}")
    for name, text in {**files, "other.crt": strange, "password": known["password"]}.items():
        host.run(["sh", "-c", 'umask 077; cat >"$0"', f"{folder}/{name}"], stdin=text)
    yield folder
    host.run(f"rm -r {folder}")


def test_redis_cli_as_the_manual_has_it(stack: Stack, client: str) -> None:
    host, address = stack.cluster.host(REDIS), stack.cluster.host(REDIS).address

    def cli(options: str, words: str = "PING") -> str:
        command = f"redis-cli -u {stack.hosted_url} --tls {options} {words}"
        script = f"cd {client}; REDISCLI_AUTH=$(cat password) {command} 2>&1"
        return host.run(script, check=False).stdout

    own = "--cert redis_client.crt --key redis_client.key"
    assert cli(f"{own} --cacert ca.crt") == "PONG\n"
    refused = f"Could not connect to Redis at {address}:6379: SSL_connect failed: certificate verify failed"
    assert refused in cli(f"{own} --cacert other.crt")
    at_a_terminal = shlex.quote(f"redis-cli -u {stack.hosted_url} --tls {own} --cacert other.crt")
    shown = f"cd {client}; TERM=dumb timeout 5 script --quiet --command {at_a_terminal} /dev/null </dev/null"
    assert "not connected>" in host.run(shown, check=False).stdout
    without = cli("--cacert ca.crt")
    assert re.search("Server closed the connection|Connection reset by peer|I/O error|certificate required", without)


# --- other servers ------------------------------------------------------------------------------------------------


@pytest.fixture
def website(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """An HTTPS server whose certificate is of an authority that the services' image trusts."""
    image = stack.operator.image
    signer = (
        x509.load_pem_x509_certificate(
            service_image.read(image, "/usr/local/share/ca-certificates/public-authority.crt").encode()
        ),
        serialization.load_pem_private_key(service_image.read(image, "/authority/key.pem").encode(), None),
    )
    host = stack.cluster.host("outsider")
    made = identities.issue(
        tmp_path, "website", signer, usage=identities.SERVER, address=host.address, root=tmp_path / "root.crt"
    )
    assert made.certificate
    assert made.key
    pem = made.certificate.read_text() + made.key.read_text()
    host.run(["sh", "-c", "umask 077; cat >/root/website.pem"], stdin=pem)
    host.run("systemd-run --unit=website openssl s_server -quiet -www -accept 443 -cert /root/website.pem")
    yield f"https://{host.address}/"
    host.run("systemctl stop website; rm /root/website.pem")


def test_https_to_others_verifies_as_with_the_images_own_authorities(stack: Stack, website: str) -> None:
    assert stack.operator.ask("gate", "get", website, JDK_JAVA_OPTIONS="") == "status 200"
    assert stack.operator.ask("gate", "get", website) == "status 200"
    told = stack.operator.ask("gate", "trusted")
    assert re.fullmatch(r"1\d\d trusted, 0 of the image's 1\d\d missing", told), told
    # Redis' authority alone, as where the manual's trust store is mounted over the image's.
    trusted = put(stack, "gate", "alone.p12", trust_store([stack.client()["trusted"]]))
    alone = f"{FILE} -Djavax.net.ssl.trustStore={trusted}"
    assert NO_PATH in stack.operator.ask("gate", "get", website, check=False, JDK_JAVA_OPTIONS=alone)


# --- what Pulumi, the operator and Halyard see --------------------------------------------------------------------


def test_nothing_changes_without_a_reason(stack: Stack) -> None:
    before = stack.secrets()
    assert stack.up().unchanged
    assert stack.secrets() == before
    assert len(before) == 2


def test_a_group_that_is_not_there_is_refused(stack: Stack) -> None:
    stack.configure(group="cd")
    said = stack.project.pulumi("preview", check=False).text
    assert "spinnaker[0].redis.group: 'cd' cannot be used: name a group of this stack: ci, hosted" in said
    stack.configure()


def test_halyards_files_say_the_same(stack: Stack) -> None:
    host = stack.cluster.host(HALYARD)
    paths = host.run(f"find {HOME} -type f -printf '%m %u %P\n' | sort").stdout.splitlines()
    assert {line.rpartition(" ")[0] for line in paths} == {"600 spinnaker"}
    read: dict[str, dict[str, Any]] = {"service-settings": {}, "profiles": {}}
    for line in paths:
        path = line.rpartition(" ")[2]
        folder, _, name = path.partition("/")
        content = yaml.safe_load(host.run(f"cat {HOME}/{path}").stdout)
        read[folder][name.removesuffix(".yml").removesuffix("-local")] = content
    assert read == stack.spinnaker()["spec"]["spinnakerConfig"]


def test_a_patch_leaves_the_rest_as_it_was_and_its_options_can_stand_in_the_environment(stack: Stack) -> None:
    spec = stack.patched["spec"]["spinnakerConfig"]
    theirs = THEIRS["spinnakerConfig"]
    assert (spec["config"], spec["profiles"]) == (theirs["config"], theirs["profiles"])
    stack.operator.run("rosco", stack.patched, jedis=service_image.CURRENT)
    options = spec["service-settings"]["rosco"]["env"]["JAVA_OPTS"]
    assert options.startswith(f"{HEAP} -Djavax.net.ssl.keyStore=")
    assert stack.operator.ask("rosco", "heap") == HALYARDS
    # Mozilla's authorities, since nobody named others.
    assert re.match(r"1\d\d trusted", stack.operator.ask("rosco", "trusted"))


def test_policies_tell_of_the_password_in_the_environment_and_of_nothing_else(stack: Stack) -> None:
    project = stack.project
    seen = project.pulumi("preview", "--policy-pack", str(ROOT / "policies"), check=False).text
    # Beside what a preview cannot look into.
    found = re.findall(r"^(?!\s*not checked: ).*\[([a-z-]+)\]$", seen, re.MULTILINE)
    assert set(found) == {"password-in-variable"}


def test_verification_tries_what_the_manual_tries(stack: Stack, tmp_path: Path) -> None:
    verdict = verify(stack.project, tmp_path / "verification.json")
    (mine,) = [check for check in verdict.checks if (check["name"], check["host"]) == ("spinnaker", REDIS)]
    assert mine["ok"], verdict.text
    assert "PONG" in str(mine["detail"])


def test_a_new_certificate_brings_new_pods(stack: Stack) -> None:
    secrets, pod = stack.secrets(), stack.operator.pod("gate")
    serial = stack.client()["certificate"]
    stack.configure(issue=2)
    stack.up()
    assert stack.client()["certificate"] != serial
    assert stack.secrets() > secrets
    assert len(stack.secrets()) == 3
    # Until the operator, or who runs Halyard, has had its turn, a pod that starts anew has what it had before.
    stack.cluster.kubectl("-n", NAMESPACE, "delete", "pod", pod)
    stack.operator.wait("gate")
    assert stack.operator.ask("gate", "try", stack.url) == "read back what was written"
    before = stack.operator.pod("gate")
    for service, jedis in (("gate", service_image.RELEASED), ("igor", service_image.CURRENT)):
        stack.operator.run(service, stack.spinnaker(), jedis=jedis)
        assert stack.operator.ask(service, "try", stack.url) == "read back what was written"
    assert stack.operator.pod("gate") not in (pod, before)
    assert stack.up().unchanged


def test_verification_tells_of_a_redis_that_lets_in_who_shows_no_certificate(stack: Stack, tmp_path: Path) -> None:
    stack.configure(auth_clients="optional", issue=2)
    stack.up()
    verdict = verify(stack.project, tmp_path / "verification.json")
    assert verdict.problems("spinnaker", REDIS).endswith("answers who shows no certificate: set tls.authClients to yes")


def test_a_patch_that_is_taken_back_leaves_what_others_said(stack: Stack) -> None:
    stack.configure(patched=False, issue=2)
    stack.up()
    assert stack.patched["spec"] == THEIRS
    # All Secrets of the one, and none of the other.
    wait_for(lambda: len(stack.secrets()) == 2)
