"""What hosts tell, as recorded on a Debian host."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tests.unit.verification.samples import listener
from verification.facts import Account, FactsError, Question, Session, Stat, ask, parse
from verification.model import Endpoint

LISTENERS = """\
udp UNCONN 0      0      127.0.0.11:36293 0.0.0.0:*
tcp LISTEN 0      128     127.0.0.1:30379 0.0.0.0:* users:(("ssh",pid=482,fd=4))
tcp LISTEN 0      4096        [::1]:30379    [::]:* users:(("systemd-socket-",pid=462,fd=4),("systemd",pid=1,fd=47))
tcp LISTEN 0      4096 127.0.0.53%lo:53   0.0.0.0:* users:(("systemd-resolve",pid=3,fd=14))
tcp LISTEN 0      511             *:443         *:* users:(("haproxy",pid=709,fd=9),("haproxy",pid=710,fd=9))
"""
CONNECTIONS = """\
0      0      10.203.17.13:22              10.203.17.12:45314
0      0      [::ffff:127.0.0.1]:30379     [::ffff:127.0.0.1]:50000
"""
ADDRESSES = r"""
1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
1: lo    inet6 ::1/128 scope host proto kernel_lo \       valid_lft forever preferred_lft forever
156: eth0    inet 10.203.17.11/24 brd 10.203.17.255 scope global eth0\       valid_lft forever preferred_lft forever
156: eth0    inet6 fd5d:7a1e:203:17::b/64 scope global nodad \       valid_lft forever preferred_lft forever
156: eth0    inet6 fe80::42:aff:fecb:110b/64 scope link proto kernel_ll \       valid_lft forever preferred_lft forever
"""
SESSIONS = (
    "0x7f9f55093c00: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s\n"
    "0x7f9f55093c01: proto=tcpv4 src=127.0.0.1:54012 fe=haproxy_cache_service be=masters srv=w1 ts=02 age=1s\n"
)


def told(**sections: str) -> str:
    """Everything that a host tells unless it is told otherwise; `None` leaves a section out."""
    empty = dict.fromkeys(("stats", "sums", "names", "texts", "accounts"), "")
    whole = {"listeners": LISTENERS, "connections": CONNECTIONS, "addresses": ADDRESSES, **empty, **sections}
    return "".join(f"#={head}\n{body}\n#?0\n" for head, body in whole.items()) + "#=end\n"


def test_listeners_are_read() -> None:
    assert parse(told()).listeners == (
        listener("127.0.0.11", 36293, protocol="udp"),
        listener("127.0.0.1", 30379, "ssh"),
        listener("::1", 30379, "systemd-socket-", "systemd"),
        listener("127.0.0.53", 53, "systemd-resolve"),
        listener("*", 443, "haproxy"),
    )


def test_connections_are_read() -> None:
    near, far = parse(told()).connections[1]
    assert parse(told()).connections[0] == (Endpoint("10.203.17.13", 22), Endpoint("10.203.17.12", 45314))
    assert near.loopback
    assert far.loopback


def test_addresses_that_others_may_dial_are_read() -> None:
    facts = parse(told())
    assert facts.interfaces == ("10.203.17.11/24", "fd5d:7a1e:203:17::b/64")
    assert facts.addresses == ("10.203.17.11", "fd5d:7a1e:203:17::b")


def test_files_are_read() -> None:
    text = b64encode("grüß dich\n".encode()).decode()
    facts = parse(
        told(
            stats="/etc/a b\tregular file\t600\troot:root\n/etc/d\tdirectory\t1777\troot:daemon\n",
            sums=f"{'0' * 64}  /etc/a b\n",
            texts=f"/etc/a b\t{text}\n",
            names="/etc/d/x\n/etc/d/y\n",
        )
    )
    assert facts.stats["/etc/a b"] == Stat(kind="regular file", mode="0600", owner="root:root")
    assert facts.stats["/etc/d"].mode == "1777"
    assert facts.sums["/etc/a b"] == "0" * 64
    assert facts.texts == {"/etc/a b": "grüß dich\n"}
    assert facts.names == {"/etc/d/x", "/etc/d/y"}


def test_units_are_known_by_all_their_names() -> None:
    shown = "StatusText=a=b\nNames=ssh.service sshd.service\n\nNames=x@y.service\nActiveState=active\n"
    facts = parse(told(units=shown, clock="4406.54\n"))
    assert facts.units["ssh.service"] == facts.units["sshd.service"]
    assert facts.units["ssh.service"]["StatusText"] == "a=b"
    assert facts.units["x@y.service"]["ActiveState"] == "active"
    assert facts.uptime == 4406.54


def test_accounts_are_read_without_their_passwords() -> None:
    facts = parse(told(accounts="tunnel\t/usr/sbin/nologin\t!\nweak\t/bin/bash\t$\nopen\t/bin/sh\t\ngone\t\t\n"))
    assert facts.accounts == {
        "tunnel": Account(shell="/usr/sbin/nologin", locked=True),
        "weak": Account(shell="/bin/bash", locked=False),
        "open": Account(shell="/bin/sh", locked=False),
        "gone": Account(shell="", locked=False),
    }


def test_answers_of_sshd_and_haproxy_are_read() -> None:
    facts = parse(
        told(
            **{
                "sshd\ttunnel\t192.0.2.1": "permitopen 127.0.0.1:1 [::1]:1\nX11Forwarding no\n",
                "sessions\t/s": SESSIONS,
            }
        )
    )
    assert facts.sshd["tunnel", "192.0.2.1"] == {"permitopen": "127.0.0.1:1 [::1]:1", "x11forwarding": "no"}
    assert facts.sessions["/s"] == (
        Session(source="unix:1", frontend="GLOBAL"),
        Session(source="127.0.0.1:54012", frontend="haproxy_cache_service"),
    )


def test_part_that_failed_is_no_empty_part() -> None:
    text = told().replace(f"#=listeners\n{LISTENERS}\n#?0", "#=listeners\ntimeout: ss: No such file\n\n#?127")
    with pytest.raises(FactsError, match=r"could not tell its listeners: timeout: ss: No such file \(exit code 127\)"):
        parse(text)


def test_optional_part_that_failed_is_kept_with_its_last_words() -> None:
    text = told().replace("#=end", "#=sessions\t/s\nConnection refused\n\n#?1\n#=end")
    assert parse(text).sessions == {}
    assert parse(text).failures["sessions", "/s"] == "Connection refused (exit code 1)"


@pytest.mark.parametrize("text", ["", "#=listeners\n", told().removesuffix("#=end\n")])
def test_answer_that_ended_half_way_is_no_answer(text: str) -> None:
    with pytest.raises(FactsError, match="half-way"):
        parse(text)


def test_questions_are_asked_once_and_after_the_line_that_opens_them() -> None:
    questions = [Question("unit", "a"), Question("sshd", "user", "192.0.2.1"), Question("unit", "a")]
    assert ask(questions) == "ask\nunit\ta\nsshd\tuser\t192.0.2.1\n"
