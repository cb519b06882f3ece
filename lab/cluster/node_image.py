"""The image that the nodes of a lab's cluster are made of: a lab host with Kubernetes' programs and its pods' images.

The programs are built from their Go modules, at the versions that the two go.mod files here pin; containerd, runc and
the CNI plugins are Debian's. Its tag is the digest of all that goes in.
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from lab import host_image, images, workspace
from lab.console import LabError, answer, step
from toolchain.compiler import Build, compile_into, download
from toolchain.errors import ToolchainError

REPOSITORY: Final = "sealed-data-tier/lab-node"
POD_REPOSITORY: Final = "sealed-data-tier.lab"
"""Where the images of pods seem to come from; each has the tag 1."""
PODS: Final = ("pause", "coredns", "redis", "valkey")
"""The images of pods that every node has."""

_HERE: Final = Path(__file__).parent
_IMAGE, _POD_IMAGES = _HERE / "image", _HERE / "pods"
_KUBERNETES, _ADDONS = _HERE / "kubernetes", _HERE / "addons"
_ENFORCER: Final = "sigs.k8s.io/kube-network-policies/cmd/kube-network-policies/standard"


def version() -> str:
    """The version of Kubernetes, for example 1.34.4."""
    found = re.search(r"^\tk8s\.io/kubernetes v(\S+)$", (_KUBERNETES / "go.mod").read_text(), re.MULTILINE)
    assert found  # noqa: S101 - the module requires it
    return found[1]


def reference() -> str:
    """The image's name, with the digest of everything it is built from."""
    sources = (_IMAGE, _POD_IMAGES, _KUBERNETES, _ADDONS)
    return images.named(REPOSITORY, host_image.build_context(), *(images.context(source) for source in sources))


def pod_image(name: str) -> str:
    """The name by which pods know one of their images, which nodes never pull."""
    return f"{POD_REPOSITORY}/{name}:1"


def ensure() -> str:
    """Returns the image's name, after loading it from the cache or building it where Docker does not have it.

    Raises:
        LabError: The image can neither be loaded nor built.
    """
    image = reference()
    images.ensure("Node image", image, lambda: _build(image))
    return image


def _build(image: str) -> None:
    host = host_image.ensure()
    with tempfile.TemporaryDirectory(dir=workspace.directory(), prefix="node-") as made:
        # What docker build gets is packed here, so that modes and owners are those of the digest.
        binaries, tree = Path(made, "go"), Path(made, "context")
        shutil.copytree(_IMAGE, tree)
        try:
            _compile(binaries)
        except ToolchainError as error:
            raise LabError(str(error)) from error
        (tree / "bin").mkdir()
        (binaries / "hyperkube").rename(tree / "bin" / "hyperkube")
        (binaries / "standard").rename(tree / "bin" / "kube-network-policies")
        _build_pods(binaries, tree / "pods")
        with step("Node image [5/5]: its packages") as current, tempfile.TemporaryFile() as context:
            images.pack(tree, context)
            context.seek(0)
            current.run("docker", "build", "--build-arg", f"BASE={host}", "--tag", image, "-", stdin=context)


def _compile(out: Path) -> None:
    major, minor, _ = version().split(".")
    symbols = (
        f"k8s.io/component-base/version.gitVersion=v{version()}",
        f"k8s.io/component-base/version.gitMajor={major}",
        f"k8s.io/component-base/version.gitMinor={minor}",
        f"k8s.io/client-go/pkg/version.gitVersion=v{version()}",
    )
    kubernetes = {"./hyperkube": symbols, "./pause": ()}
    builds = (
        Build(f"Kubernetes {version()}", _KUBERNETES, kubernetes, static=True),
        Build("DNS and network policies", _ADDONS, {"./coredns": (), _ENFORCER: ()}, static=True),
    )
    with step("Node image [1/5]: Go modules") as current:
        download(builds, current.show)
    out.mkdir()
    for number, build in enumerate(builds, start=2):
        with step(f"Node image [{number}/5]: {build.what} from its Go modules") as current:
            compile_into(out, build, current.show)


def _build_pods(binaries: Path, archives: Path) -> None:
    """Builds the images of pods, and saves each as an archive that containerd imports."""
    archives.mkdir()
    shutil.copy(_POD_IMAGES / "Dockerfile", binaries)
    base = host_image.base()
    for pod in PODS:
        with step(f"Node image [4/5]: its pods' image of {pod}") as current:
            build = ("docker", "build", "--build-arg", f"BASE={base}", "--target", pod, "--tag", pod_image(pod))
            current.run(*build, binaries)
            current.run("docker", "image", "save", "--output", archives / f"{pod}.tar", pod_image(pod))
    # Each build went through the stages of those before it, so they go together.
    answer("docker", "image", "rm", *(pod_image(pod) for pod in PODS))
