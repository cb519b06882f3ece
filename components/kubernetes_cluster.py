"""Which cluster of Kubernetes objects are put into."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import pulumi

if TYPE_CHECKING:
    import pulumi_kubernetes as kubernetes

__all__: Final = ["KubernetesCluster"]


class KubernetesCluster:
    """A cluster; what several components put into it goes to the same one.

    Attributes:
        provider: Of objects.
        keeper: Of objects that may be there already, since they outlive what uses them.
    """

    def __init__(
        self,
        name: str = "kubernetes",
        *,
        kubeconfig: pulumi.Input[str] | None = None,
        context: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Say how a cluster is reached.

        Args:
            name: Begins the names of the providers.
            kubeconfig: Content of a kubeconfig (secret), or the path of one; default what kubectl would take.
            context: Context of the kubeconfig; default the current one.
            opts: Of the providers.
        """
        self._name, self._kubeconfig, self._context, self._opts = name, kubeconfig, context, opts

    @cached_property
    def provider(self) -> kubernetes.Provider:
        """Provider of all objects; one that is there already is somebody else's."""
        return self._made(self._name)

    @cached_property
    def keeper(self) -> kubernetes.Provider:
        """Provider of volumes and of what is named by its content; one that is there already is gone on with."""
        return self._made(f"{self._name}-keeper", upsert_existing_objects=True)

    def _made(self, name: str, *, upsert_existing_objects: bool | None = None) -> kubernetes.Provider:
        # Stacks of hosts need not wait half a second for it.
        import pulumi_kubernetes as kubernetes  # noqa: PLC0415

        return kubernetes.Provider(
            name,
            kubeconfig=self._kubeconfig,
            context=self._context,
            # Pods are delivered what is changed; nothing is to be away meanwhile.
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            upsert_existing_objects=upsert_existing_objects,
            opts=self._opts,
        )
