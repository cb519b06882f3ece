"""Files that a container has before it starts."""

import pulumi
import pulumi_docker as docker


def upload(path: str, content: pulumi.Input[str], mode: str = "0644") -> docker.ContainerUploadArgs:
    """A file of root's with an octal mode."""
    return docker.ContainerUploadArgs(file=path, content=content, permissions=mode)
