"""Virtual IPs on two load balancers, on lab hosts of their own."""
