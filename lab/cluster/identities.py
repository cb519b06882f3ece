"""What makes a node's container that node: certificates, kubeconfigs, and where its and the others' pods are.

Everything is made in the state, as the hosts' own keys are. Each user of the API server has a certificate of its own,
so that RBAC tells them apart; etcd has an authority of its own, and nobody but the API server a certificate of it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

import pulumi
import pulumi_docker as docker
import pulumi_tls as tls

from lab.settings import SERVICE_SUBNET, ClusterSettings, LabSettings
from lab.uploads import upload

API_PORT: Final = 6443

_DAY_HOURS: Final = 24
_AUTHORITY_HOURS: Final = 10 * 365 * _DAY_HOURS
"""How long authorities are valid: longer than any lab lives."""
_LEAF_HOURS: Final = 825 * _DAY_HOURS
"""How long certificates are, which is as long as the policies let them be."""
_RENEWAL_HOURS: Final = 30 * _DAY_HOURS
"""How long before its end a certificate is made anew, and with it the nodes that have it."""
_FOLDER: Final = "/etc/kubernetes"
_API_NAMES: Final = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, in PEM; the key is secret."""

    certificate: pulumi.Output[str]
    private_key: pulumi.Output[str]


class Authority:
    """An authority that signs certificates for servers, which are clients too, and for clients."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        self._name, self._opts = name, opts
        self._key = _private_key(name, opts)
        self._root = tls.SelfSignedCert(
            name,
            private_key_pem=self._key.private_key_pem,
            subject=tls.SelfSignedCertSubjectArgs(common_name=name),
            allowed_uses=["cert_signing", "crl_signing"],
            is_ca_certificate=True,
            set_subject_key_id=True,
            validity_period_hours=_AUTHORITY_HOURS,
            opts=opts,
        )
        self.certificate: pulumi.Output[str] = self._root.cert_pem

    def identity(
        self,
        name: str,
        user: str,
        *,
        group: str | None = None,
        names: Sequence[str] = (),
        addresses: Sequence[str] = (),
    ) -> Identity:
        """Makes a key and its certificate.

        Args:
            name: What the files and resources of it are called.
            user: Common name: who Kubernetes takes the holder for.
            group: Organization: the group that Kubernetes puts the holder in.
            names: DNS names of a server.
            addresses: IP addresses of a server.
        """
        resource = f"{self._name}-{name}"
        key = _private_key(resource, self._opts)
        request = tls.CertRequest(
            resource,
            private_key_pem=key.private_key_pem,
            subject=tls.CertRequestSubjectArgs(common_name=user, organization=group),
            dns_names=list(names),
            ip_addresses=list(addresses),
            opts=self._opts,
        )
        leaf = tls.LocallySignedCert(
            resource,
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=self._key.private_key_pem,
            ca_cert_pem=self.certificate,
            allowed_uses=["digital_signature", *(["server_auth"] if names or addresses else []), "client_auth"],
            validity_period_hours=_LEAF_HOURS,
            early_renewal_hours=_RENEWAL_HOURS,
            opts=self._opts,
        )
        return Identity(leaf.cert_pem, key.private_key_pem)


class Identities:
    """Every identity of one cluster.

    Attributes:
        kubeconfig: By which an administrator reaches the cluster from this machine (secret).
    """

    kubeconfig: pulumi.Output[str]

    def __init__(
        self, name: str, settings: LabSettings, cluster: ClusterSettings, opts: pulumi.ResourceOptions
    ) -> None:
        self._settings, self._cluster = settings, cluster
        self._authority = Authority(f"{name}-cluster", opts)
        self._etcd = Authority(f"{name}-etcd", opts)
        self._service_accounts = _private_key(f"{name}-service-accounts", opts)
        self.kubeconfig = self._kubeconfig(self._authority.identity("admin", "admin", group="system:masters"))
        self._everywhere = [
            self._user("kube-proxy", "system:kube-proxy"),
            self._user("kube-network-policies", "kube-network-policies"),
        ]

    def uploads(self, node: str) -> list[docker.ContainerUploadArgs]:
        """The files that a node has before it boots."""
        known = self._settings.names(node)
        names = [name for each in known.values() for name in each]
        user = f"system:node:{node}"
        kubelet = self._authority.identity(
            f"kubelet-{node}", user, group="system:nodes", names=names, addresses=list(known)
        )
        files = [
            upload(f"{_FOLDER}/node.env", self._environment(node)),
            upload("/etc/cni/net.d/10-pods.conflist", network(self._cluster.pods(node))),
            upload(f"{_FOLDER}/pki/ca.crt", self._authority.certificate),
            *_pair("kubelet", kubelet),
            _secret("kubelet.kubeconfig", self._kubeconfig(kubelet)),
            *self._everywhere,
        ]
        return [*files, *self._control_plane()] if node == self._cluster.control_plane else files

    def _control_plane(self) -> list[docker.ContainerUploadArgs]:
        control = self._settings.address(self._cluster.control_plane)
        api_addresses = [control, str(SERVICE_SUBNET[1]), "127.0.0.1"]
        authority = self._authority
        return [
            upload(f"{_FOLDER}/pki/etcd-ca.crt", self._etcd.certificate),
            *_pair("etcd", self._etcd.identity("server", "etcd", names=["localhost"], addresses=["127.0.0.1"])),
            *_pair("etcd-client", self._etcd.identity("client", "kube-apiserver")),
            *_pair(
                "apiserver",
                authority.identity("apiserver", "kube-apiserver", names=_API_NAMES, addresses=api_addresses),
            ),
            *_pair("apiserver-kubelet", authority.identity("apiserver-kubelet", "kube-apiserver-kubelet")),
            _secret("pki/service-accounts.key", self._service_accounts.private_key_pem),
            self._user("controller-manager", "system:kube-controller-manager"),
            self._user("scheduler", "system:kube-scheduler"),
            _secret("admin.kubeconfig", self.kubeconfig),
        ]

    def _environment(self, node: str) -> str:
        """Variables of the node's units."""
        routes = " ".join(
            f"{self._cluster.pods(other)}={self._settings.address(other)}"
            for other in self._cluster.nodes
            if other != node
        )
        address = self._settings.address(node)
        return f'NODE_ADDRESS={address}\nPODS={self._cluster.pods(node)}\nROUTES="{routes}"\n'

    def _user(self, name: str, user: str) -> docker.ContainerUploadArgs:
        """The kubeconfig of one of the cluster's own programs."""
        return _secret(f"{name}.kubeconfig", self._kubeconfig(self._authority.identity(name, user)))

    def _kubeconfig(self, identity: Identity) -> pulumi.Output[str]:
        server = f"https://{self._settings.address(self._cluster.control_plane)}:{API_PORT}"
        parts = pulumi.Output.all(self._authority.certificate, identity.certificate, identity.private_key)
        return pulumi.Output.secret(parts.apply(lambda pems: kubeconfig(server, *pems)))


def kubeconfig(server: str, authority: str, certificate: str, private_key: str) -> str:
    """What a client of the API server reads, with everything in it.

    Args:
        server: URL of the API server.
        authority: Certificate of the authority that signed the server's, in PEM.
        certificate: The client's certificate, in PEM.
        private_key: Its key, in PEM.
    """
    name = "lab"
    cluster = {"server": server, "certificate-authority-data": _base64(authority)}
    user = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(private_key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(content)


def network(pods: IPv4Network) -> str:
    """The CNI configuration of a node: a bridge on which its pods have addresses of the subnet."""
    ranges = [[{"subnet": str(pods)}]]
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "isDefaultGateway": True,
        # Network policies go by the pods' own addresses.
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": ranges},
    }
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}, indent=2) + "\n"


def _private_key(name: str, opts: pulumi.ResourceOptions) -> tls.PrivateKey:
    return tls.PrivateKey(name, algorithm="ECDSA", ecdsa_curve="P256", opts=opts)


def _pair(name: str, identity: Identity) -> list[docker.ContainerUploadArgs]:
    return [
        upload(f"{_FOLDER}/pki/{name}.crt", identity.certificate),
        _secret(f"pki/{name}.key", identity.private_key),
    ]


def _secret(path: str, content: pulumi.Input[str]) -> docker.ContainerUploadArgs:
    return upload(f"{_FOLDER}/{path}", content, mode="0600")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
