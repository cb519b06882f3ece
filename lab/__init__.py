"""The lab: the dev stack's hosts, as real as containers can be.

A lab host is a Debian server with systemd as PID 1 and sshd, its own address on the lab's network, a pinned ed25519
host key and three users. The stack reaches it as it reaches a production host: by SSH, with a key, as a user who has
sudo.

``lab.hosts`` is the Pulumi component that creates the hosts. ``python -m lab`` looks after what must be there before
them (Docker, the image) and gone after them. ``lab/on HOST COMMAND`` and ``lab.machine`` run commands on a host and
break it for a while.
"""
