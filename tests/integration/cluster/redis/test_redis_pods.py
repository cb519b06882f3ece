"""One Valkey as a pod: who is let in, and what lives through which change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.cluster import node_image
from tests.integration.cluster.redis.group import FRIENDS, PodGroup
from tests.integration.cluster.stack import Cluster
from tests.integration.support import wait_for

pytestmark = pytest.mark.engine

NODE_PORT = 30637
POD = "sessions-server-0"
CLAIM = f"data-{POD}"
# Of volumes that may grow, as far as the API server knows.
GROWING = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "growing"},
    "provisioner": "kubernetes.io/no-provisioner",
    "allowVolumeExpansion": True,
}
# A client that stays connected, and one that comes anew each time.
CONNECTED = 'LIMIT=3600; while :; do echo "INCR beat"; sleep 0.1; done | ask -h sessions'
COMING = "while :; do ask -h sessions PING 2>&1; sleep 0.2; done"


@pytest.fixture(scope="module")
def group(cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodGroup]:
    settings: dict[str, Any] = {
        "name": "sessions",
        "flavour": "valkey",
        "kubernetes": {
            "namespace": namespace,
            "image": node_image.pod_image("valkey"),
            "clients": [{"pods": FRIENDS}, {"network": cluster.host("outsider").address}],
            "exposure": {"type": "NodePort", "names": ["sessions.example.com"], "nodePorts": [NODE_PORT]},
            "storage": {"size": "1Gi", "storageClass": "growing"},
        },
    }
    group = PodGroup(tmp_path_factory.mktemp("sessions"), cluster, namespace, settings)
    cluster.apply(GROWING)
    group.volumes.make(POD, "worker1", "growing")
    group.up()
    group.give("friend")
    group.client("friend", "friend")
    yield group
    group.project.destroy()
    group.kubectl("delete", "pods", "--all")
    group.volumes.clear()
    cluster.kubectl("delete", "storageclass", "growing")


def test_a_second_run_changes_nothing(group: PodGroup) -> None:
    assert group.up().unchanged


def test_clients_with_a_certificate_and_a_password_are_let_in(group: PodGroup) -> None:
    assert group.ask("friend", "SET", "greeting", "hello") == "OK"
    for name in (group.address, "sessions", f"{POD}.sessions-servers"):
        assert group.ask("friend", "GET", "greeting", host=name) == "hello"
    assert group.ask("friend", "CONFIG", "GET", "port").startswith("NOPERM")


def test_nobody_else_is(group: PodGroup) -> None:
    def refused(script: str) -> str:
        asked = ("exec", "friend", "--", "sh", "-c", f"timeout 5 redis-cli -h sessions {script} PING 2>&1")
        return group.kubectl(*asked, check=False).strip()

    assert refused("") in ("Error: Server closed the connection", "Error: Connection reset by peer")
    assert "PONG" not in refused("--tls --cacert /client/root.crt")
    assert "NOAUTH" in refused("--tls --cacert /client/root.crt --cert /client/client.crt --key /client/client.key")
    group.give_foreign("foreigner")
    group.client("foreigner", "foreigner")
    assert "PONG" not in group.ask("foreigner", "PING")
    # With everything that a friend has, but a pod that nobody declared.
    group.client("stranger", "friend", labels={"app": "else"})
    address = group.get("pod", POD)["status"]["podIP"]
    for name in ("sessions", address):
        assert group.ask("friend", "PING", host=name) == "PONG"
        assert not group.ask("stranger", "PING", host=name)


def test_clients_outside_come_by_the_node(group: PodGroup, cluster: Cluster) -> None:
    outputs = group.outputs()
    files = {"root.crt": outputs["authority"], "client.crt": outputs["clientCertificate"], "key": outputs["clientKey"]}
    asked = (
        f"timeout 5 valkey-cli -h {cluster.host('worker1').address} -p {NODE_PORT} --sni sessions.example.com --tls "
        "--cacert /run/it/root.crt --cert /run/it/client.crt --key /run/it/key PING 2>&1"
    )
    for name, answer in (("outsider", "NOAUTH"), ("lb1", "")):
        host = cluster.host(name)
        host.run("mkdir -p /run/it")
        for file, text in files.items():
            host.run(f"cat >/run/it/{file}", stdin=text)
        assert host.run(asked, check=False).stdout.startswith(answer)
        assert bool(answer) == bool(host.run(asked, check=False).stdout)
        host.run("rm -rf /run/it")


def test_no_object_but_secrets_holds_a_secret(group: PodGroup) -> None:
    outputs = group.outputs()
    shown = group.kubectl("get", "statefulsets,pods,jobs,configmaps,services,networkpolicies", "--output=yaml")
    shown += group.kubectl("logs", POD, "--all-containers")
    for secret in (outputs["passwords"]["app"], *outputs["clientKey"].splitlines()[1:-1]):
        assert secret not in shown
    assert "PRIVATE KEY" not in shown
    processes = group.kubectl(
        "exec", POD, "-c", "server", "--", "sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ"
    )
    assert outputs["passwords"]["app"] not in processes


def test_certificates_and_passwords_change_while_clients_stay(group: PodGroup) -> None:
    group.client("connected", "friend", CONNECTED)
    group.client("coming", "friend", COMING)
    before, lives = group.outputs(), group.lives("server")
    group.settings["certificates"] = {"issue": 2}
    group.settings["passwords"] = {"current": 2, "accepted": [1, 2]}
    group.settings["memory"] = {"limit": "64mb"}
    group.up()
    after = group.outputs()
    assert after["passwords"] != before["passwords"]
    assert after["clientCertificate"] != before["clientCertificate"]
    group.give("later")
    group.client("later", "later")
    assert "maxmemory:67108864" in group.ask("later", "INFO", "memory")
    for client in ("connected", "coming"):
        group.said(client, 5)
    assert group.lives("server") == lives
    counted = [int(line) for line in group.lines("connected")]
    assert counted == list(range(1, len(counted) + 1))
    assert set(group.lines("coming")) == {"PONG"}
    group.settings["passwords"] = {"current": 2}
    group.up()
    assert "WRONGPASS" in group.ask("friend", "PING")
    assert group.ask("later", "PING") == "PONG"
    assert group.lives("server") == lives
    group.kubectl("delete", "pods", "connected", "coming", "friend")
    group.client("friend", "later")


def test_data_outlives_the_pod_and_the_stack(group: PodGroup) -> None:
    group.ask("friend", "SET", "kept", "yes")
    group.kubectl("delete", "pod", POD)
    wait_for(lambda: group.ask("friend", "GET", "kept") == "yes")
    group.project.destroy()
    assert not group.get(
        "statefulsets,services,networkpolicies,secrets", "--selector=app.kubernetes.io/instance=sessions"
    )["items"]
    assert group.get("persistentvolumeclaim", CLAIM)["status"]["phase"] == "Bound"
    group.up()
    group.give("friend")
    group.kubectl("delete", "pod", "friend")
    group.client("friend", "friend")
    assert group.ask("friend", "GET", "kept") == "yes"


def test_what_a_server_refuses_is_told(group: PodGroup) -> None:
    group.settings["tls"] = {"ciphers": "NO-SUCH-SUITE"}
    group.settings["settleSeconds"] = 15
    told = group.up(check=False)
    assert "the job failed" in told.text
    assert f"{POD}.sessions-servers.caches.svc.cluster.local has not taken what was delivered within 15 s" in (
        group.kubectl("logs", "job/sessions-settle")
    )
    assert "CONFIG SET" in group.kubectl("logs", POD, "-c", "follow")
    assert group.ask("friend", "GET", "kept") == "yes"
    del group.settings["tls"]
    group.up()


def test_volumes_grow_where_they_are(group: PodGroup, cluster: Cluster) -> None:
    storage = group.settings["kubernetes"]["storage"]
    lives = group.lives("server")

    def claimed() -> tuple[str, str]:
        spec = group.get("persistentvolumeclaim", CLAIM)["spec"]
        return spec["resources"]["requests"]["storage"], spec["storageClassName"]

    storage["size"] = "2Gi"
    group.up()
    assert claimed() == ("2Gi", "growing")
    storage["size"] = "1Gi"
    assert "field can not be less than" in group.up(check=False).text
    cluster.apply({**GROWING, "allowVolumeExpansion": False})
    storage["size"] = "3Gi"
    assert "the storageclass that provisions the pvc must support resize" in group.up(check=False).text
    # Of volumes that are made from now on.
    storage |= {"size": "2Gi", "storageClass": "other"}
    group.up()
    assert claimed() == ("2Gi", "growing")
    assert group.lives("server") == lives
    assert group.ask("friend", "GET", "kept") == "yes"


def test_a_stateful_set_takes_no_data_with_it_and_a_removed_group_does(group: PodGroup) -> None:
    group.settings["removeData"] = True
    group.up()
    group.project.pulumi(
        "destroy", "--yes", "--skip-preview", "--target", "**sessions-server-pods", "--target-dependents"
    )
    assert not group.lives("server")
    group.up()
    wait_for(lambda: group.ask("friend", "GET", "kept") == "yes")
    group.project.destroy()
    wait_for(lambda: not group.get("persistentvolumeclaims")["items"])
