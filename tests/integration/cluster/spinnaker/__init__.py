"""Services of Spinnaker on the cluster, and their Redis there and on a host."""
