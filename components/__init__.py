"""Components that close plaintext on the data tier.

One folder a component. Import the public names from here:

    from components import Host, HostSettings, SshTunnelHost, HaproxyLoadBalancer
"""
