"""A place that looks like Pulumi's downloads, and builds that only say what they would build."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from toolchain import layout, official, standins, versions
from toolchain.progress import Report
from toolchain.versions import Versions

# Installs every plugin but those that the test has named in the file `unavailable`.
FAKE_CLI = """\
#!/bin/sh
[ "$1 $2 $3" = "plugin install resource" ] && [ "$6 $7" = "--server $SEALED_DATA_TIER_PULUMI_DOWNLOADS" ] || exit 2
if grep -qx "$4" "$UNAVAILABLE"; then
    echo "error: 404 HTTP error fetching plugin" >&2
    exit 1
fi
mkdir -p "$PULUMI_HOME/plugins/resource-$4-$5"
echo official >"$PULUMI_HOME/plugins/resource-$4-$5/pulumi-resource-$4"
"""


class Downloads:
    """Pulumi's downloads as a test wants them.

    Attributes:
        url: Where they are.
        files: What there is, by path. Requests for others are answered with 404.
        requests: The paths that were asked for.
    """

    def __init__(self, unavailable: Path) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self._unavailable = unavailable
        self.without_plugins()

    def without_plugins(self, *names: str) -> None:
        """Say which plugins cannot be had."""
        self._unavailable.write_text("".join(f"{name}\n" for name in names))

    def publish(self, archive: str, version: str) -> None:
        """Publish the CLI with its checksum."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name in ("pulumi", "pulumi-language-python"):
                member = tarfile.TarInfo(f"pulumi/{name}")
                member.size, member.mode = len(FAKE_CLI), 0o755
                tar.addfile(member, io.BytesIO(FAKE_CLI.encode()))
        sha256 = hashlib.sha256(packed.getvalue()).hexdigest()
        self.files[f"/{archive}"] = packed.getvalue()
        self.files[f"/pulumi-{version}-checksums.txt"] = f"{'0' * 64}  other\n{sha256}  {archive}\n".encode()


@pytest.fixture
def pinned() -> Versions:
    return versions.load()


@pytest.fixture
def archive(pinned: Versions, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the CLI's archive on a machine of the most usual kind."""
    monkeypatch.setattr(official, "platform", lambda: "linux-x64")
    return f"pulumi-v{pinned.cli}-linux-x64.tar.gz"


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Downloads]:
    """Serve downloads on loopback. There are none yet."""
    served = Downloads(tmp_path / "unavailable")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append(self.path)
            content = served.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv(official.DOWNLOADS_VARIABLE, served.url)
    monkeypatch.setenv("UNAVAILABLE", str(tmp_path / "unavailable"))
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what was built, in a test where nothing is."""
    built: list[str] = []

    def build(tree: Path, _pinned: Versions, _report: Report, *, cli: bool, plugins: list[str]) -> None:
        built.extend(plugins)
        if cli:
            built.append("cli")
            (tree / layout.BIN).mkdir()
            (tree / layout.BIN / "pulumi").write_text(FAKE_CLI)
            (tree / layout.BIN / "pulumi").chmod(0o755)

    monkeypatch.setattr(standins, "build", build)
    return built


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the tests away from the real cache and the real downloads."""
    monkeypatch.setenv("SEALED_DATA_TIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(official.DOWNLOADS_VARIABLE, "http://127.0.0.1:1")
    return tmp_path / "cache"
