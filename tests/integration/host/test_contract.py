"""Every point of the host contract, broken on a real host."""

from __future__ import annotations

import threading
import time

import pytest

from tests.integration.host.conftest import Target
from tests.integration.support import difference

pytestmark = [pytest.mark.lab, pytest.mark.engine]

PORT = 31001
RUNTIME = "/usr/local/lib/sealed-data-tier/runtime"


class TestTransaction:
    def test_refused_configuration_leaves_the_old_service(self, target: Target) -> None:
        before = target.tree()
        outcome = target.up({"broken": True}, check=False)
        assert outcome.code != 0
        assert "haproxy -c refused the new configuration" in outcome.text
        assert "unknown keyword 'nonsense'" in outcome.text, "the daemon's own message"
        assert target.serves(PORT)
        assert difference(before, target.tree()) == ""

    def test_unhealthy_service_is_rolled_back(self, target: Target) -> None:
        before = target.tree()
        outcome = target.up({"port": 31002, "check": "echo it is sick >&2; false"}, check=False)
        assert outcome.code != 0
        assert "not healthy within 5 s: serves" in outcome.text
        assert "it is sick" in outcome.text
        assert target.serves(PORT)
        assert not target.serves(31002)
        assert difference(before, target.tree()) == ""

    def test_rollback_waits_for_what_systemd_tries_again_and_touches_nothing_else(self, target: Target) -> None:
        process = "systemctl show -P MainPID proof-standing.service"
        standing = target.host.run(process).stdout
        outcome = target.up({"port": 31002, "check": "touch /run/fails-once; false"}, check=False)
        assert "proof: failed and put back; the host is as it was before" in outcome.text
        assert target.remains() == ""
        assert target.host.run(process).stdout == standing
        target.host.run("timeout 50 sh -c 'until systemctl is-active -q proof-flaky; do sleep 0.2; done'")

    def test_hanging_step_is_ended(self, target: Target) -> None:
        outcome = target.up({"validation": "sleep 1000"}, check=False)
        assert "patience refused the new configuration" in outcome.text
        assert target.serves(PORT)

    def test_established_connection_survives_a_reload(self, target: Target) -> None:
        connect = f"exec 3<>/dev/tcp/127.0.0.1/{PORT}; read -r -u 3 _"
        holder = f"{connect}; sleep 6; printf 'SSH-2.0-x\\r\\n' >&3; read -r -n 1 -u 3 _"
        ended: list[int] = []
        thread = threading.Thread(target=lambda: ended.append(target.host.run(["bash", "-c", holder]).returncode))
        thread.start()
        time.sleep(1)
        target.up({"port": 31003})
        thread.join()
        assert ended == [0]
        assert target.serves(31003)

    def test_foreign_path_is_refused(self, target: Target) -> None:
        target.host.run("mkdir -p /var/lib/sealed-data-tier/roles/other")
        target.host.run(
            "cat > /var/lib/sealed-data-tier/roles/other/manifest", stdin="role\tother\nfile\t/etc/proof/plain\t644\n"
        )
        try:
            outcome = target.up({"port": 31004}, check=False)
        finally:
            target.host.run("rm -r /var/lib/sealed-data-tier/roles/other")
        assert "/etc/proof/plain belongs to the role other" in outcome.text
        assert target.serves(PORT)


class TestSilence:
    def test_unchanged_up_opens_no_connection(self, target: Target) -> None:
        before = target.logins()
        assert target.up().unchanged
        assert target.logins() == before

    def test_one_changed_line_is_shown_as_that_line(self, target: Target) -> None:
        target.project.configure({"port": 31005})
        preview = target.project.pulumi("preview", "--diff").text
        changed = [line.strip() for line in preview.splitlines() if "bind 127.0.0.1" in line]
        assert [line[0] for line in changed] == ["-", "+"]

    def test_one_connection_a_role(self, target: Target) -> None:
        before = target.logins()
        target.up({"port": 31006})
        assert target.logins() == before + 1


class TestSecrets:
    def test_found_nowhere_else(self, target: Target) -> None:
        secret = "5ecret-0f-the-contract-test"
        seen: list[str] = []
        stop = threading.Event()

        def watch() -> None:
            while not stop.is_set():
                places = "/proc/[0-9]*/cmdline /proc/[0-9]*/environ"
                seen.append(target.host.run(f"cat {places} 2>/dev/null | tr '\\0' '\\n' | grep '[5]ecret' || :").stdout)

        thread = threading.Thread(target=watch)
        thread.start()
        target.project.pulumi("config", "set", "--secret", "secret", stdin=secret)
        plain = target.project.up("--debug")
        stop.set()
        thread.join()
        assert secret not in plain.text
        assert "".join(seen) == "", "in an argument list or environment"
        found = target.host.run(f"grep -rlF {secret} /etc /var /run /tmp /usr/local /root /home 2>/dev/null || :")
        assert found.stdout.split() == ["/etc/proof/inner/secret"]
        assert secret not in target.host.run("journalctl --no-pager").stdout
        assert target.host.run("stat -c '%a %U' /etc/proof/inner/secret").stdout == "600 proof-user\n"
        for path in (target.project.directory / "state").rglob("*.json"):
            assert secret not in path.read_text(), path


class TestDelete:
    def test_restores_the_host_byte_for_byte(self, stack: Target) -> None:
        stack.up({"role": False})
        before = stack.tree()
        stack.up()
        assert difference(before, stack.tree()) != ""
        stack.up({"port": 31007})
        stack.up({"role": False})
        assert difference(before, stack.tree()) == ""

    def test_account_that_is_still_in_use_goes_with_its_processes(self, stack: Target) -> None:
        stack.up({"role": False})
        before = stack.tree()
        stack.up()
        stack.host.run("systemd-run --quiet --collect --uid=proof-user --unit=still-there sleep 1000")
        stack.up({"role": False})
        assert difference(before, stack.tree()) == ""
        assert stack.host.run("pgrep --full 'sleep 100[0]'", check=False).stdout == ""

    def test_packages_that_came_with_the_role_go_with_it(self, stack: Target) -> None:
        stack.up({"role": False})
        stack.host.run("dpkg -s tree >/dev/null 2>&1 && apt-get -qq purge tree", check=False)
        before = stack.tree()
        stack.up({"packages": ["haproxy", "tree"]})
        assert stack.host.run("command -v tree").stdout
        stack.up({"role": False})
        assert difference(before, stack.tree()) == ""


class TestFarewell:
    """The whole host leaves the stack, or the stack is destroyed."""

    def test_restores_everything_in_one_connection(self, stack: Target) -> None:
        stack.up({"host": False})
        before = stack.tree()
        stack.up()
        logins = stack.logins()
        stack.up({"host": False})
        assert stack.logins() == logins + 1
        assert difference(before, stack.tree()) == ""

    def test_with_a_sudo_password_through_a_bastion(self, stack: Target) -> None:
        stack.up({"host": False})
        before = stack.tree()
        stack.up({"user": "opspw", "sudoPassword": True, "throughBastion": True})
        stack.up({"host": False})
        assert difference(before, stack.tree()) == ""

    def test_a_host_that_is_gone_does_not_stop_it(self, target: Target) -> None:
        target.host.kill()
        try:
            outcome = target.up({"host": False})
        finally:
            target.host.start()
        assert "cannot be reached under its pinned key; it is left as it is" in outcome.text
        target.up()
        assert target.serves(PORT)

    def test_a_host_with_another_key_is_not_touched(self, target: Target) -> None:
        key = "/etc/ssh/ssh_host_ed25519_key"
        renew = f"mv {key} {key}.old; ssh-keygen -q -t ed25519 -N '' -f {key}; systemctl reload ssh"
        target.host.run(renew)
        target.host.wait_until_up()
        try:
            outcome = target.up({"host": False})
        finally:
            target.host.run(f"mv {key}.old {key}; ssh-keygen -y -f {key} >{key}.pub; systemctl reload ssh")
            target.host.wait_until_up()
        assert "cannot be reached under its pinned key; it is left as it is" in outcome.text
        assert target.serves(PORT)
        target.up()


class TestConnection:
    def test_bastion_and_sudo_password(self, target: Target) -> None:
        target.up({"user": "opspw", "sudoPassword": True, "port": 31008})
        assert target.serves(31008)
        target.up({"throughBastion": True, "port": 31009})
        assert target.serves(31009)

    def test_wrong_host_key(self, target: Target) -> None:
        started = time.monotonic()
        outcome = target.up({"wrongHostKey": True, "port": 31010}, check=False)
        assert "host key mismatch" in outcome.text
        assert time.monotonic() - started < 60, "the documented time"
        assert target.serves(PORT)

    def test_wrong_user(self, target: Target) -> None:
        outcome = target.up({"user": "nobody-here"}, check=False)
        assert "unable to authenticate" in outcome.text

    def test_no_sudo(self, target: Target) -> None:
        outcome = target.up({"user": "nosudo"}, check=False)
        assert "sudo did not let nosudo in" in outcome.text
        assert "set hosts.<name>.sudoPassword" in outcome.text

    def test_unreachable(self, target: Target) -> None:
        started = time.monotonic()
        outcome = target.up({"address": "10.203.21.250"}, check=False)
        assert outcome.code != 0
        assert "10.203.21.250" in outcome.text
        assert time.monotonic() - started < 60, "the documented time"

    def test_wrong_family(self, target: Target) -> None:
        outcome = target.up({"family": "rhel"}, check=False)
        assert "this host is of the family 'debian', the configuration says 'rhel'" in outcome.text
