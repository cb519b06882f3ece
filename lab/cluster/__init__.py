"""A Kubernetes cluster of lab hosts: the real programs, from package registries alone.

``lab.cluster.node_image`` builds what its nodes are made of, ``lab.cluster.identities`` makes each container one
particular node, and ``lab.hosts.Lab`` creates them where its settings have a ``cluster``. ``python -m lab cluster``
builds ahead and says why a cluster is not well.
"""
