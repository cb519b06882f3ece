"""Virtual IPs: what keepalived.conf lets strangers hear and say, and as whom its scripts run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from policies.parsers.keepalived import parse
from tests.policies.support import found, role, rules

KEEPALIVED: Final = "/etc/keepalived/keepalived.conf"
GOLDEN: Final = Path(__file__).parents[1] / "golden" / "keepalived"
TEXT: Final = (GOLDEN / "load-balancers" / "lb1" / "keepalived.conf").read_text()
# As guides have it: multicast, a password, and notify scripts in root's home.
GUIDE: Final = """\
! Configuration File for keepalived
global_defs {
   notification_email {
   }
   smtp_server mail.example.com
   router_id DB_MONITOR
}
vrrp_instance VI_1
{
   state BACKUP
   interface eth0
   virtual_router_id 51
   priority 100
   advert_int 1
   authentication {
      auth_type PASS
      auth_pass PASSWORD
   }
   virtual_ipaddress { 192.0.2.5 dev eth0 }
   notify_master /root/promote.sh
   notify_backup "/root/demote.sh now" nobody
}
"""


def broken(text: str) -> set[str]:
    return rules(found(KEEPALIVED, text))


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.glob("*/*/keepalived.conf")), ids=lambda path: "/".join(path.parts[-3:-1])
)
def test_what_the_component_writes_breaks_no_rule(path: Path) -> None:
    assert found(KEEPALIVED, path.read_text()) == []


@pytest.mark.parametrize(
    ("line", "instead", "rule"),
    [
        ("    unicast_peer {\n        192.0.2.12\n    }\n", "", "vrrp-unicast"),
        ("        192.0.2.12\n", "", "vrrp-unicast"),
        ("    check_unicast_src\n", "", "vrrp-source"),
        ("    check_unicast_src\n", "    # check_unicast_src\n", "vrrp-source"),
        ("    track_src_ip\n", "    authentication {\n        auth_type PASS\n    }\n", "vrrp-password"),
        ("    enable_script_security\n", "", "vrrp-script-security"),
        ("    user keepalived_script\n", "    user root\n", "vrrp-script-user"),
        ("    user keepalived_script\n", "    user 0 0\n", "vrrp-script-user"),
        ('/usr/local/bin/vip-moved" keepalived_script', '/usr/local/bin/vip-moved" root root', "vrrp-script-user"),
        ("    track_src_ip\n", '    notify "/usr/local/bin/moved a b" root\n', "vrrp-script-user"),
        ("    track_src_ip\n", "    notify_stop /usr/local/bin/moved root\n", "vrrp-script-user"),
        (
            "    script_user keepalived_script keepalived_script\n",
            "    startup_script /bin/a root\n",
            "vrrp-script-user",
        ),
    ],
)
def test_one_changed_line_does(line: str, instead: str, rule: str) -> None:
    assert line in TEXT
    assert broken(TEXT.replace(line, instead, 1)) == {rule}


def test_a_default_user_that_is_root() -> None:
    text = TEXT.replace("script_user keepalived_script keepalived_script", "script_user root")
    assert broken(text) == set(), "every script names its own"
    assert broken(text.replace("    user keepalived_script\n", "")) == {"vrrp-script-user"}


def test_the_guides_way_breaks_them_all() -> None:
    findings = found(KEEPALIVED, GUIDE)
    assert {"vrrp-unicast", "vrrp-source", "vrrp-password", "vrrp-script-security", "vrrp-script-user"} <= rules(
        findings
    )
    lines = {finding.rule: finding.line for finding in findings if finding.rule.startswith("vrrp")}
    assert (lines["vrrp-unicast"], lines["vrrp-password"], lines["vrrp-script-user"]) == (8, 16, 20)


def test_other_ways_to_say_it() -> None:
    everywhere = TEXT.replace("    check_unicast_src\n", "").replace(
        "global_defs {", "global_defs {\n vrrp_check_unicast_src"
    )
    assert broken(everywhere) == set()
    short = TEXT.replace("    check_unicast_src\n", "").replace("192.0.2.12\n", "192.0.2.12 min_ttl 255\n")
    assert broken(short) == set()
    one_line = TEXT.replace("unicast_peer {\n        192.0.2.12\n    }", "unicast_peer { 192.0.2.12 }")
    assert broken(one_line) == set()


@pytest.mark.parametrize(
    ("fault", "line"), [(TEXT.rstrip().removesuffix("}"), 35), ("}\n", 1), ("{\n", 1), ('router_id "x\n', 1)]
)
def test_what_keepalived_cannot_read_is_told(fault: str, line: int) -> None:
    findings = [each for each in found(KEEPALIVED, fault) if each.rule == "unreadable"]
    assert [(each.path, each.line) for each in findings] == [(KEEPALIVED, line)]


def test_what_is_included_is_told_as_unchecked() -> None:
    outcome = role({KEEPALIVED: f"include /etc/keepalived/more.conf\n{TEXT}"})
    assert outcome.violations == []
    assert any("more.conf" in note for note in outcome.notes)


def test_the_pack_refuses_it() -> None:
    outcome = role({KEEPALIVED: TEXT.replace("    check_unicast_src\n", "")})
    assert [policy for policy, _ in outcome.violations] == ["virtual-ips"]


def test_statements_have_words_lines_and_blocks() -> None:
    configuration = parse('a "b c" { # comment\n  d\n  e { f g }\n}\n@main h ! more\n')
    (a, h) = configuration.top.block
    assert (a.words, a.line, [str(each) for each in a.block]) == (("a", "b c"), 1, ["d", "e"])
    assert [each.words for each in a.block[1].block] == [("f", "g")]
    assert (h.words, h.line) == (("h",), 5)
