"""Parsers: what a writer quotes they read back, what daemons tolerate they do too, and no text makes them fail."""

from __future__ import annotations

import shlex
import shutil
import string
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from policies.parsers import authorized_keys, haproxy, known_hosts, openssh, redis, shell, systemd
from policies.parsers.addresses import is_loopback, split_port
from policies.parsers.formats import Format, format_of
from policies.rules import FAMILIES, HostFiles, check_files
from policies.rules.tunnels import script_commands
from tests.policies.support import HOST_KEY, SEALED

PRINTABLE = st.text(string.printable.replace("\n", "").replace("\r", ""), max_size=20)
WORDS = st.lists(PRINTABLE, min_size=1, max_size=5)
PLAIN = st.text(string.ascii_letters + string.digits + "-_./", min_size=1, max_size=12)
# A loaded machine is no reason to fail.
SLOW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


# --- any text at all ---


@given(text=st.text(max_size=400), path=st.sampled_from(sorted(SEALED)))
@example(text='"', path="/etc/haproxy/haproxy.cfg")
@example(text="\\", path="/etc/haproxy/haproxy.cfg")
@example(text="Match", path="/etc/ssh/sshd_config.d/x.conf")
@example(text="Host\nLocalForward", path="/etc/ssh/x")
@example(text="[Socket]\nListenStream=[", path="/etc/systemd/system/x.socket")
@example(text="[Service]\nExecStart=ssh -L", path="/etc/systemd/system/x.service")
@example(text="\N{NO-BREAK SPACE}", path="/etc/ssh/sealed-data-tier/tunnel/known_hosts")
@example(text="\N{NO-BREAK SPACE}", path="/etc/ssh/sealed-data-tier/tunnel/generation-1.keys")
@example(text="# sealed-data-tier: plaintext port 0 until 2 because x", path="/etc/valkey/valkey.conf")
def test_no_text_makes_a_rule_fail(text: str, path: str) -> None:
    for finding in check_files(HostFiles(texts={path: text})):
        assert finding.line is None or 1 <= finding.line <= text.count("\n") + 1
        assert finding.rule in {rule for family in FAMILIES for rule in family.rules}


@given(noise=st.lists(PRINTABLE, max_size=3), path=st.sampled_from(sorted(SEALED)))
def test_no_broken_line_makes_a_rule_fail(noise: list[str], path: str) -> None:
    lines = SEALED[path].split("\n")
    for line in noise:
        lines.insert(len(lines) // 2, line)
    check_files(HostFiles(texts={**SEALED, path: "\n".join(lines)}))


# --- HAProxy ---


def quoted_for_haproxy(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


@given(words=WORDS)
def test_haproxy_reads_what_was_quoted(words: list[str]) -> None:
    line = "  x " + "\t".join(map(quoted_for_haproxy, words)) + " # comment"
    [section] = haproxy.parse(f"backend b\n{line}\n").sections
    assert section.directives == (haproxy.Directive(("x", *words), 2),)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (r"a\ b c", ["a b", "c"]),
        (r'"a b"c', ["a bc"]),
        (r"a#b", ["a"]),
        (r"a\#b", ["a#b"]),
        (r'"a#b"', ["a#b"]),
        (r"'a\nb'", [r"a\nb"]),
        (r'"a\nb\x41"', ["a\nbA"]),
        (r"a\qb", [r"a\qb"]),
        (r'""', [""]),
        ("a\\", ["a\\"]),
        ("\va\fb\r", ["a", "b"]),
        ("a\N{NO-BREAK SPACE}b", ["a\N{NO-BREAK SPACE}b"]),
    ],
)
def test_haproxy_words(line: str, words: Sequence[str]) -> None:
    [section] = haproxy.parse(f"global\nx {line}\n").sections
    assert section.directives[0].words == ("x", *words)


def test_haproxy_sections() -> None:
    text = "stray\n\nglobal # x\n user a\nfrontend f from d\n bind :1\n\nlisten l\r\n bind :2\r\n"
    configuration = haproxy.parse(text)
    assert [(each.kind, each.name, each.line) for each in configuration.sections] == [
        ("global", "", 3),
        ("frontend", "f", 5),
        ("listen", "l", 8),
    ]
    assert [problem.line for problem in configuration.problems] == [1]
    assert [listener.address for listener in configuration.listeners()] == [":1", ":2"]


def test_separators_of_python_are_none_of_the_daemons() -> None:
    """A line that Python alone would break could hide a listener behind a comment, or shift every line number."""
    for separator in "\v\f\x1c\x1d\x1e\x85\u2028\u2029":
        [section] = haproxy.parse(f"frontend f\n # x{separator}bind :1\n bind 127.0.0.1:1\n").sections
        assert [directive.line for directive in section.directives] == [3]
        assert redis.parse("/x", {"/x": f"# x{separator}port 0\nport 1\n"}).port.directive is not None


# --- Redis ---


def quoted_for_redis(word: str) -> str:
    escaped = "".join(
        f"\\{each}" if each in '"\\' else each if 32 <= ord(each) < 127 else f"\\x{ord(each):02x}" for each in word
    )
    return f'"{escaped}"'


@given(words=WORDS)
def test_redis_reads_what_was_quoted(words: list[str]) -> None:
    assert redis.split(" ".join(map(quoted_for_redis, words))) == words
    single = [word.replace("\\", "/") for word in words]
    assert redis.split(" ".join("'" + word.replace("'", "\\'") + "'" for word in single)) == single


@pytest.mark.parametrize("line", ['"a', "'a", '"a"b', "x 'a'b", '"\\"'])
def test_redis_refuses(line: str) -> None:
    with pytest.raises(ValueError, match="quote"):
        redis.split(line)
    assert [problem.line for _, problem in redis.parse("/x", {"/x": f"\n{line}"}).problems] == [2]


def test_redis_last_line_wins_over_files() -> None:
    files = {"/etc/a.conf": "port 1\ninclude b.conf\nport 3", "/etc/b.conf": "PORT 2\nport 4\ninclude /etc/a.conf"}
    configuration = redis.parse("/etc/a.conf", files)
    assert configuration.port.value == "3"
    assert configuration.files == {"/etc/a.conf", "/etc/b.conf"}
    assert [(path, problem.reason) for path, problem in configuration.problems] == [
        ("/etc/b.conf", "the file includes itself")
    ]


# --- systemd ---


@given(values=st.lists(PLAIN, min_size=1, max_size=4), comment=PLAIN)
def test_systemd_joins_continued_lines(values: list[str], comment: str) -> None:
    text = "[Service]\nEnvironment = " + f"\\\n# {comment}\n;\n".join(f"{value} " for value in values)
    [assignment] = systemd.parse("/x", text)[0]
    assert assignment.value.split() == values
    assert (assignment.section, assignment.key, assignment.line) == ("Service", "Environment", 2)


def quoted_for_systemd(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(words=WORDS)
def test_systemd_reads_what_was_quoted(words: list[str]) -> None:
    assert systemd.split(" ".join(map(quoted_for_systemd, words))) == words


def test_systemd_repeats_and_resets() -> None:
    text = "[Service]\nExecStart=-/bin/a 'b c'\nExecStart=\nExecStart=@+/bin/d e\nRestart=no\nRestart=always\n"
    [unit] = systemd.units({"/etc/systemd/system/a.service": f"{text}[Unit]\nRestart=x\n"})
    assert [words[0] for _, words in unit.commands()] == ["/bin/d"]
    restart = unit.last("Service", "Restart")
    assert restart is not None
    assert (restart.value, restart.line) == ("always", 6)


def test_systemd_drop_ins_by_file_name() -> None:
    base = "/etc/systemd/system/a@.service"
    files = {
        base: "[Service]\nX=0\n",
        f"{base}.d/20.conf": "[Service]\nX=2\n",
        "/etc/systemd/system/a@b.c-1.service.d/10.conf": "[Service]\nX=1\n",
        "/etc/systemd/system/other.service.d/99.conf": "[Service]\nX=9\n",
    }
    units = {unit.name: unit for unit in systemd.units(files)}
    assert {name: [each.value for each in unit.assignments] for name, unit in units.items()} == {
        "a@.service": ["0", "2"],
        "a@b.c-1.service": ["0", "1", "2"],
        "other.service": ["9"],
    }
    assert [units[name].whole for name in sorted(units)] == [True, True, False]


@pytest.mark.parametrize("value", ["5", "5s", "500ms", "1min 30s", "2h5m", "0", "1.5s", "100us", "infinity"])
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there to compare with")
def test_systemd_spans_are_systemds(value: str) -> None:
    run = subprocess.run(["systemd-analyze", "timespan", value], capture_output=True, text=True, check=True)
    told = next(line.split(":")[1].strip() for line in run.stdout.splitlines() if "s:" in line)
    expected = float("inf") if value == "infinity" else int(told) / 1e6
    assert systemd.seconds(value) == pytest.approx(expected)


@pytest.mark.parametrize("value", ["", "x", "5 apples", "-1", "s"])
def test_systemd_spans_that_are_none(value: str) -> None:
    assert systemd.seconds(value) is None


# --- OpenSSH ---


def quoted_for_ssh(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(words=WORDS)
def test_openssh_reads_what_was_quoted(words: list[str]) -> None:
    assert openssh.split(" ".join(map(quoted_for_ssh, words)) + " # comment") == words


KEYWORDS = {
    "User": PLAIN,
    "HostKeyAlias": PLAIN,
    "Port": st.integers(1, 65535).map(str),
    "BatchMode": st.sampled_from(["yes", "no"]),
}

CLIENT_HEADS = [
    "Host lb1",
    "Host *",
    "Host lb?",
    "Host !lb1 *",
    "Host other lb*",
    'Host "lb1"',
    "host=lb1",
    "Match all",
    "Match originalhost lb1,x",
    "Match originalhost !lb1,*",
    "Match !originalhost lb1",
]


@st.composite
def client_configurations(draw: st.DrawFn) -> str:
    """Draw an ssh_config(5) of several blocks, with quotes, comments and both ways to write a value."""
    lines: list[str] = []
    for block in range(draw(st.integers(1, 4))):
        if block:
            lines.append(draw(st.sampled_from(CLIENT_HEADS)))
        for keyword in draw(st.lists(st.sampled_from(sorted(KEYWORDS)), max_size=4)):
            value = draw(KEYWORDS[keyword])
            form = draw(st.sampled_from(["{} {}", "  {}={}", "\t{} = {}", '{} "{}"', "{}\t{} # x", "# {} {}"]))
            lines.append(form.format(draw(st.sampled_from([keyword, keyword.upper()])), value))
    return "\n".join(lines) + "\n"


def effective(path: Path) -> dict[str, str]:
    run = subprocess.run(["ssh", "-G", "-F", path, "lb1"], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in run.stdout.splitlines() if " " in line)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not there to compare with")
@SLOW
@given(text=client_configurations())
def test_ssh_sees_what_the_parser_sees(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    seen, untouched = effective(path), effective(Path("none"))
    configuration = openssh.parse_client("/x", {"/x": text})
    for keyword in KEYWORDS:
        [option] = configuration.possible(keyword, {"originalhost": "lb1"})
        if option is not None:
            assert seen[keyword.lower()].lower() == option.value.lower()
        else:
            assert seen.get(keyword.lower()) == untouched.get(keyword.lower())


SERVER = {
    "PermitTTY": st.sampled_from(["yes", "no"]),
    "AllowTcpForwarding": st.sampled_from(["yes", "no", "local", "remote"]),
    "ForceCommand": st.sampled_from(["/bin/false", "/usr/sbin/nologin", "none"]),
    "PermitOpen": st.sampled_from(["any", "none", "127.0.0.1:1"]),
}

SERVER_HEADS = [
    "Match User tunnel",
    "Match User t*",
    "Match User !tunnel,*",
    "match user other,tunnel",
    "Match User other",
    "Match all",
]


@st.composite
def server_configurations(draw: st.DrawFn) -> str:
    """Draw an sshd_config(5) of a global section and Match blocks."""
    lines: list[str] = []
    for block in range(draw(st.integers(1, 4))):
        if block:
            lines.append(draw(st.sampled_from(SERVER_HEADS)))
        keywords = draw(st.lists(st.sampled_from(sorted(SERVER)), max_size=4))
        lines += [f"{draw(st.sampled_from(['', '  ']))}{keyword} {draw(SERVER[keyword])}" for keyword in keywords]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def host_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("sshd") is None or shutil.which("ssh-keygen") is None:
        pytest.skip("sshd is not there to compare with")
    path = tmp_path_factory.mktemp("sshd") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    if subprocess.run(["sshd", "-T", "-f", "/dev/null", "-h", path], capture_output=True, check=False).returncode:
        pytest.skip("sshd -T does not run here")
    return path


@SLOW
@given(text=server_configurations())
def test_sshd_sees_what_the_parser_sees(host_key: Path, text: str) -> None:
    path = host_key.parent / "config"
    path.write_text(text)
    who = "user=tunnel,host=client,addr=192.0.2.1"
    sshd = shutil.which("sshd") or "sshd"
    run = subprocess.run(
        [sshd, "-T", "-f", path, "-h", host_key, "-C", who], capture_output=True, text=True, check=True
    )
    seen = dict(line.split(" ", 1) for line in run.stdout.splitlines() if " " in line)
    configuration = openssh.parse_server(["/x"], {"/x": text})
    for keyword in SERVER:
        [option] = configuration.possible(keyword, {"user": "tunnel"})
        if option is not None:
            assert seen[keyword.lower()] == option.value


def test_openssh_includes() -> None:
    files = {
        "/etc/ssh/a": "Host lb1\nInclude b /nowhere/*\nUser after\n",
        "/etc/ssh/b": "User before\nInclude /etc/ssh/a\nHost other\nUser nobody\n",
    }
    configuration = openssh.parse_client("/etc/ssh/a", files)
    assert [option and option.value for option in configuration.possible("User", {"originalhost": "lb1"})] == ["before"]
    assert configuration.possible("User", {"originalhost": "other"}) == [None]  # inside a block that does not hold
    assert [str(option) for option in configuration.unread] == ["Include b /nowhere/*"]
    assert [(path, problem.line) for path, problem in configuration.problems] == [("/etc/ssh/b", 2)]


def test_sshd_conditions_that_cannot_be_judged() -> None:
    text = "Match User a Address 10.0.0.0/8\nPermitTTY yes\nMatch User a\nPermitTTY no\n"
    configuration = openssh.parse_server(["/x"], {"/x": text})
    assert [option and option.value for option in configuration.possible("permittty", {"user": "a"})] == ["yes", "no"]
    assert configuration.possible("permittty", {"user": "b"}) == [None]


@pytest.mark.parametrize(
    ("value", "expected"), [("5", 5), ("2m", 120), ("1h30m", 5400), ("none", None), ("", None), ("5x", None)]
)
def test_openssh_times(value: str, expected: int | None) -> None:
    assert openssh.seconds(value) == expected


# --- keys ---

OPTION_NAMES = st.sampled_from(["command", "from", "permitopen", "environment"])


@given(
    options=st.lists(
        st.tuples(OPTION_NAMES, PRINTABLE.map(lambda text: text.replace("\\", "/"))), min_size=1, max_size=4
    )
)
def test_authorized_keys_reads_what_was_quoted(options: list[tuple[str, str]]) -> None:
    quoted = [(name, value.replace('"', '\\"')) for name, value in options]
    written = ",".join(f'{name}="{value}"' for name, value in quoted)
    line = f"restrict,{written} {HOST_KEY} a comment"
    keys, problems = authorized_keys.parse(f"# x\n\n{line}\n")
    assert problems == ()
    [key] = keys
    assert key.options == (("restrict", None), *options)
    assert (key.kind, key.comment, key.line) == ("ssh-ed25519", "a comment", 3)


@pytest.mark.parametrize(
    "line",
    ["restrict", 'command="x', "ssh-ed25519", "restrict, ssh-ed25519", "nonsense here", 'a="b"c ssh-rsa AAAA', "\xa0"],
)
def test_authorized_keys_that_are_none(line: str) -> None:
    keys, problems = authorized_keys.parse(line)
    assert (keys, [problem.line for problem in problems]) == ((), [1])


@pytest.mark.parametrize(
    "kind", ["ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com", "ssh-ed25519-cert-v01@openssh.com"]
)
def test_key_types(kind: str) -> None:
    assert authorized_keys.parse(f"{kind} AAAA me")[0][0].kind == kind
    assert known_hosts.parse(f"@cert-authority *.x {kind} AAAA")[0][0].marker == "@cert-authority"


# --- the rest ---


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("/etc/haproxy/haproxy.cfg", "", Format.HAPROXY),
        ("/etc/haproxy/conf.d/a.cfg", "", Format.HAPROXY),
        ("haproxy-valkey.cfg", "", Format.HAPROXY),
        ("/etc/redis.conf", "", Format.REDIS),
        ("/etc/valkey/valkey.conf", "", Format.REDIS),
        ("/etc/redis/6380.conf", "", Format.REDIS),
        ("redis.conf", "", Format.REDIS),
        ("/etc/tmpfiles.d/redis.conf", "", None),
        ("/etc/systemd/system/redis.service.d/limits.conf", "", Format.UNIT),
        ("/usr/lib/systemd/system/a.socket", "", Format.UNIT),
        ("/etc/systemd/system.conf", "", None),
        ("/etc/redis/sentinel.conf", "", Format.SENTINEL),
        ("/etc/ssh/sshd_config", "", Format.SSHD),
        ("/etc/ssh/sshd_config.d/50-a.conf", "Host x", Format.SSHD),
        ("/etc/ssh/ssh_config.d/a.conf", "", Format.SSH),
        ("/etc/ssh/a/b.conf", "Host x\n", Format.SSH),
        ("/etc/ssh/a/b.conf", "  localforward 1 2\n", Format.SSH),
        ("/etc/ssh/a/b.conf", "nothing\n", None),
        ("/root/.ssh/config", "", Format.SSH),
        ("/root/.ssh/authorized_keys", "", Format.AUTHORIZED_KEYS),
        ("/etc/ssh/a/generation-1.keys", "", Format.AUTHORIZED_KEYS),
        ("/etc/ssh/ssh_known_hosts", "", Format.KNOWN_HOSTS),
        ("/etc/keepalived/keepalived.conf", "", Format.KEEPALIVED),
        ("/etc/keepalived/addresses", "", None),
        ("/etc/sysctl.d/60-keepalived-vip.conf", "", None),
        ("/etc/systemd/system/keepalived.service.d/a.conf", "", Format.UNIT),
    ],
)
def test_formats(path: str, text: str, expected: Format | None) -> None:
    assert format_of(path, text) is expected


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.255.0.9", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "*", "0.0.0.0", "::", "128.0.0.1", "::2", "10.0.0.1", "localhost.example.com", "127.1", "$X"]
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@given(address=st.ip_addresses(), port=st.integers(1, 65535))
def test_ports_are_split_off(address: object, port: int) -> None:
    assert split_port(f"[{address}]:{port}") == (str(address), str(port))
    assert split_port(f"{address}:{port}") == (str(address), str(port))


def test_commands_in_scripts() -> None:
    script = """\
#!/bin/sh
# ssh -L *:1:x:1 commented
say "ssh is stopped: replacing it
"
if true; then ssh -F "$1" \\
  -N "$2" & fi
key=$(ssh -V | cat)
"""
    assert script_commands(script) == ((5, ("-F", "$1", "-N", "$2")), (7, ("-V",)))
    assert script_commands("ssh -N x\n") == ()


# --- shell ---

ARGUMENTS = st.text(st.sampled_from(string.printable), min_size=1)


@given(st.lists(st.lists(ARGUMENTS, min_size=1), min_size=1), st.sampled_from(["\n", ";", " && ", "|", " || ", " & "]))
def test_scripts_are_taken_apart_as_a_shell_does(script: list[list[str]], operator: str) -> None:
    text = operator.join(map(shlex.join, script))
    assert shell.commands(text) == [tuple(each) for each in script]


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        ("a 'b;c' \"d|e\" f\\&g", [("a", "b;c", "d|e", "f&g")]),
        ("a >b 2>&1 <c d", [("a", "d")]),
        ("a$(b; c)d `e | f`", [("a$(b; c)d", "`e | f`")]),
        ("a#b # c\nd", [("a#b",), ("d",)]),
        ("a \\\n b", [("a", "b")]),
        ("a 'b", [("a", "'b")]),
        ('"a\\"b"', [('a"b',)]),
        ("\n;;\n", []),
    ],
)
def test_scripts(script: str, commands: list[tuple[str, ...]]) -> None:
    assert shell.commands(script) == commands
