"""PostgreSQL, Patroni and etcd: TLS and a password for everybody, and a standby that cannot fill the disk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from posixpath import dirname
from typing import Final, NamedTuple

from cryptography import x509

from policies.parsers import postgres, settings_tree
from policies.parsers.addresses import is_loopback, split_port
from policies.parsers.formats import Format, of_format
from policies.parsers.settings_tree import Entry
from policies.parsers.source import numbered
from policies.rules.finding import Finding, HostFiles, unreadable

RULES: Final = {
    "postgres-ssl": "PostgreSQL has `ssl = on` wherever it listens beyond loopback",
    "postgres-hba": "whoever comes by the network comes by `hostssl`, and not by trust, password or md5",
    "postgres-listen": "PostgreSQL and Patroni listen on addresses that are named",
    "postgres-names": "a server's certificate is for every address on which it listens, a virtual IP included",
    "postgres-passwords": "passwords are kept as scram-sha-256",
    "postgres-checksums": "a cluster is made with data checksums",
    "postgres-slots": "what a replication slot may hold back is limited",
    "pgbackrest-cipher": "a repository of backups is encrypted, wherever it is",
    "pgbackrest-tls": "pgBackRest knows whom it gives backups to, and takes orders from",
    "patroni-rest": "Patroni's REST API speaks TLS, and asks whoever changes something who it is",
    "patroni-etcd": "Patroni speaks TLS to etcd, and knows whom it speaks to",
    "etcd-tls": "etcd speaks TLS to clients and peers beyond loopback, and asks both for certificates",
    "unreadable": "Patroni's YAML can be read",
}
_PROVES: Final = frozenset({"scram-sha-256", "cert", "gss", "sspi", "ldap", "radius", "pam", "bsd", "peer", "reject"})
_ASKED: Final = frozenset({"optional", "required"})
_URLS: Final = re.compile(r"^ETCD_(LISTEN|ADVERTISE|INITIAL_ADVERTISE)_(CLIENT|PEER)_URLS$")
_ASSIGNMENT: Final = re.compile(r"(?:export\s+)?(ETCD_\w+)=(.*)")
_OWN_REPOSITORY: Final = re.compile(r"(repo\d+)-path")
_VERIFIED: Final = re.compile(r"repo\d+-(storage|s3|azure|gcs)-verify-tls")
_HINT: Final = "write `{}`"


def check(host: HostFiles) -> Iterator[Finding]:
    """Find doors of PostgreSQL, Patroni and etcd that are open, or in plaintext."""
    for path, text in of_format(host.texts, Format.PG_HBA).items():
        for rule in postgres.rules(text):
            yield from _door(rule, path)
    for path, text in of_format(host.texts, Format.POSTGRESQL).items():
        yield from _server(path, text, host.texts)
    for files in _patronis(host):
        known, problems = settings_tree.parse(files)
        yield from (unreadable(path, problem) for path, problem in problems)
        if known.keys:
            yield from _patroni(known, host.texts)
    for path, text in of_format(host.texts, Format.ETCD).items():
        yield from _etcd(path, text)
    for path, text in of_format(host.texts, Format.PGBACKREST).items():
        yield from _backups(path, postgres.options(text))


def _patronis(host: HostFiles) -> list[dict[str, str]]:
    """Files of one directory are one configuration where it is called so; otherwise each is its own."""
    groups: dict[str, dict[str, str]] = {}
    for path, text in of_format(host.texts, Format.PATRONI).items():
        where = dirname(path)
        groups.setdefault(where if where.endswith(".d") else path, {})[path] = text
    return list(groups.values())


class Shown(NamedTuple):
    """Where something stands, and what.

    Attributes:
        path: The file.
        line: Line number, from 1; None where nothing is written.
        value: What stands there.
    """

    path: str
    line: int | None
    value: str


def _found(rule: str, shown: Shown, problem: str, fix: str) -> Finding:
    return Finding(rule=rule, path=shown.path, line=shown.line, value=shown.value, problem=problem, fix=fix)


def _shown(entry: Entry | None, whole: Entry, name: str) -> Shown:
    if entry is None:
        return Shown(whole.path, None, "")
    return Shown(entry.path, entry.line, f"{name}: {entry.value}" if entry.value else name)


# --- who is let in ---------------------------------------------------------------------------------------------------


def _door(rule: postgres.Rule, path: str) -> Iterator[Finding]:
    if rule.kind == "local" or rule.method == "reject":
        return
    if rule.kind != "hostssl" and not is_loopback(rule.address) and rule.address != "samehost":
        problem = "whoever matches it may come in plaintext"
        yield _found("postgres-hba", Shown(path, rule.line, rule.text), problem, "write hostssl")
    if rule.method not in _PROVES:
        problem = f"{rule.method or 'no method'} lets in whoever comes, or tells a password to whoever listens"
        shown = Shown(path, rule.line, rule.text)
        yield _found("postgres-hba", shown, problem, "write scram-sha-256, or cert")


def _server(path: str, text: str, texts: Mapping[str, str]) -> Iterator[Finding]:
    known = postgres.settings(text)
    listened = known.get("listen_addresses")
    # Not set, it is localhost; empty, it is the local socket alone.
    addresses = [each.strip() for each in listened.value.split(",")] if listened and listened.value else []
    if listened and postgres.everywhere(addresses):
        problem = "it stands for every address that the host has, and will have"
        shown = Shown(path, listened.line, f"listen_addresses = {listened.value}")
        yield _found("postgres-listen", shown, problem, "name the addresses")
    ssl = known.get("ssl")
    if any(not is_loopback(each) for each in addresses) and not (ssl and postgres.is_on(ssl.value)):
        shown = Shown(path, ssl.line, f"ssl = {ssl.value}") if ssl else Shown(path, None, "")
        problem = "it listens beyond loopback, in plaintext"
        yield _found("postgres-ssl", shown, problem, _HINT.format("ssl = on"))
    certificate = known.get("ssl_cert_file")
    if listened and certificate:
        shown = Shown(path, listened.line, f"listen_addresses = {listened.value}")
        yield from _unnamed(addresses, texts.get(certificate.value, ""), shown)
    yield from _hashes(known.get("password_encryption"), path)


def _unnamed(addresses: Iterable[str], certificate: str, shown: Shown) -> Iterator[Finding]:
    """Compare where a server listens with whom its certificate is for, where that has been issued already."""
    try:
        alternatives = x509.load_pem_x509_certificate(certificate.encode()).extensions
        names = alternatives.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return
    known = {*map(str, names.get_values_for_type(x509.IPAddress)), *names.get_values_for_type(x509.DNSName)}
    for address in addresses:
        if not is_loopback(address) and not postgres.everywhere([address]) and _normal(address) not in known:
            problem = f"its certificate is not for {address}: clients that verify it cannot use that"
            yield _found("postgres-names", shown, problem, f"add {address} to the certificate's names")


def _normal(address: str) -> str:
    bare = address.strip().strip("[]")
    try:
        return str(ip_address(bare))
    except ValueError:
        return bare


def _hashes(kept: postgres.Setting | None, path: str) -> Iterator[Finding]:
    if kept and kept.value != "scram-sha-256":
        problem = "whoever has a copy of the roles finds passwords, and logs in with their hashes"
        fix = _HINT.format("password_encryption = scram-sha-256")
        shown = Shown(path, kept.line, f"password_encryption = {kept.value}")
        yield _found("postgres-passwords", shown, problem, fix)


# --- Patroni ---------------------------------------------------------------------------------------------------------


def _patroni(known: Entry, texts: Mapping[str, str]) -> Iterator[Finding]:
    if known.at("postgresql"):
        yield from _managed(known, texts)
    if known.at("restapi"):
        yield from _rest(known)
    for kind in ("etcd3", "etcd"):
        entry = known.at(kind)
        if entry and (known.text(kind, "protocol") != "https" or not known.at(kind, "cacert")):
            problem = "who leads would be told to whoever listens, or by whoever answers"
            shown = _shown(known.at(kind, "protocol") or entry, known, "protocol")
            yield _found("patroni-etcd", shown, problem, _HINT.format("protocol: https") + " and cacert")


def _parameter(known: Entry, name: str) -> Entry | None:
    """A parameter of PostgreSQL: a node's own wins over what all have."""
    return known.at("postgresql", "parameters", name) or known.at("bootstrap", "dcs", "postgresql", "parameters", name)


def _managed(known: Entry, texts: Mapping[str, str]) -> Iterator[Finding]:
    listened = known.at("postgresql", "listen")
    addresses = split_port(listened.value)[0].split(",") if listened else []
    if listened and postgres.everywhere(addresses):
        problem = "it stands for every address that the host has, and will have"
        yield _found("postgres-listen", _shown(listened, known, "listen"), problem, "name the addresses")
    ssl = _parameter(known, "ssl")
    if any(not is_loopback(each) for each in addresses) and not (ssl and postgres.is_on(ssl.value)):
        problem = "it listens beyond loopback, in plaintext"
        yield _found("postgres-ssl", _shown(ssl, known, "ssl"), problem, _HINT.format("ssl: true"))
    certificate = _parameter(known, "ssl_cert_file")
    if listened and certificate:
        yield from _unnamed(addresses, texts.get(certificate.value, ""), _shown(listened, known, "listen"))
    kept = _parameter(known, "password_encryption")
    if kept:
        yield from _hashes(postgres.Setting("password_encryption", kept.value.lower(), kept.line), kept.path)
    for place in (("postgresql", "pg_hba"), ("bootstrap", "pg_hba")):
        for line in entry.items if (entry := known.at(*place)) else ():
            rule = postgres.rule(line.value, line.line)
            yield from _door(rule, line.path) if rule else ()
    yield from _cluster(known)


def _cluster(known: Entry) -> Iterator[Finding]:
    """How a cluster is made, and what its slots may hold back."""
    shared, made = known.at("bootstrap", "dcs"), known.at("bootstrap", "initdb")
    options = made.items if made else ()
    if (shared or made) and not any("data-checksums" in (each.value, *each.keys) for each in options):
        problem = "damaged pages are not noticed, and are copied to the standby"
        yield _found("postgres-checksums", _shown(made, known, "initdb"), problem, _HINT.format("- data-checksums"))
    limit = _parameter(known, "max_slot_wal_keep_size")
    slots = known.text("bootstrap", "dcs", "postgresql", "use_slots", default="true")
    if shared and postgres.is_on(slots) and (limit is None or limit.value.strip("'\"") == "-1"):
        name, problem = "max_slot_wal_keep_size", "a standby that stays away fills the primary's disk"
        yield _found("postgres-slots", _shown(limit, known, name), problem, _HINT.format(f"{name}: 10GB"))


def _rest(known: Entry) -> Iterator[Finding]:
    listened = known.at("restapi", "listen")
    address = split_port(listened.value)[0] if listened else ""
    if listened and postgres.everywhere([address]):
        problem = "it stands for every address that the host has, and will have"
        yield _found("postgres-listen", _shown(listened, known, "listen"), problem, "name the address")
    if address and is_loopback(address):
        return
    if not known.at("restapi", "certfile"):
        problem = "it answers in plaintext, and passwords and orders with it"
        shown = _shown(known.at("restapi"), known, "restapi")
        yield _found("patroni-rest", shown, problem, "give certfile and keyfile")
    asked = known.at("restapi", "verify_client")
    if not known.at("restapi", "authentication") and (asked is None or asked.value.lower() not in _ASKED):
        problem = "whoever reaches it may switch over, restart or reconfigure the servers"
        fix = _HINT.format("verify_client: optional") + ", or authentication"
        yield _found("patroni-rest", _shown(asked, known, "verify_client"), problem, fix)


# --- pgBackRest ------------------------------------------------------------------------------------------------------


def _backups(path: str, lines: Iterable[postgres.Setting]) -> Iterator[Finding]:
    written = list(lines)
    known = {each.name: each for each in written}
    for each in written:
        shown = Shown(path, each.line, f"{each.name}={each.value}")
        own = _OWN_REPOSITORY.fullmatch(each.name)
        if own and f"{own[1]}-host" not in known:
            yield from _cipher(path, f"{own[1]}-cipher-type", known)
        if _VERIFIED.fullmatch(each.name) and each.value == "n":
            yield _found("pgbackrest-tls", shown, "backups go to whoever answers", _HINT.format(f"{each.name}=y"))
        if each.name == "tls-server-address" and postgres.everywhere([each.value]):
            problem = "it stands for every address that the host has, and will have"
            yield _found("postgres-listen", shown, problem, "name the address")
        if each.name == "tls-server-auth" and each.value.endswith("=*"):
            yield _found("pgbackrest-tls", shown, "who has that name reads whatever is there", "name the stanza")


def _cipher(path: str, name: str, known: Mapping[str, postgres.Setting]) -> Iterator[Finding]:
    cipher = known.get(name)
    if cipher is None or cipher.value == "none":
        shown = Shown(path, cipher.line, f"{name}={cipher.value}") if cipher else Shown(path, None, "")
        problem = "whoever has a copy of the repository has all that the databases have"
        yield _found("pgbackrest-cipher", shown, problem, _HINT.format(f"{name}=aes-256-cbc"))


# --- etcd ------------------------------------------------------------------------------------------------------------


def _etcd(path: str, text: str) -> Iterator[Finding]:
    known: dict[str, tuple[str, int]] = {}
    for number, line in numbered(text):
        found = _ASSIGNMENT.fullmatch(line)
        if found:
            known[found[1]] = (found[2].strip("\"'"), number)
    beyond = {"CLIENT": False, "PEER": False}
    for name, (value, number) in known.items():
        urls = _URLS.match(name)
        if not urls:
            continue
        for url in value.split(","):
            scheme, _, rest = url.strip().partition("://")
            if is_loopback(split_port(rest)[0]):
                continue
            beyond[urls[2]] = True
            if scheme != "https":
                problem = "it is spoken in plaintext beyond loopback"
                yield _found("etcd-tls", Shown(path, number, f"{name}={value}"), problem, "write https://")
    yield from _asked(path, known, beyond)


def _asked(path: str, known: Mapping[str, tuple[str, int]], beyond: Mapping[str, bool]) -> Iterator[Finding]:
    for name, kind in (("ETCD_CLIENT_CERT_AUTH", "CLIENT"), ("ETCD_PEER_CLIENT_CERT_AUTH", "PEER")):
        value, line = known.get(name, ("", None))
        if beyond[kind] and value.lower() != "true":
            problem = "whoever reaches it is let in without a certificate"
            shown = Shown(path, line, f"{name}={value}" if value else "")
            yield _found("etcd-tls", shown, problem, _HINT.format(f"{name}=true"))
