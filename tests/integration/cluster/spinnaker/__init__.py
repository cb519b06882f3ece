"""Services of Spinnaker on the cluster, and their Redis on a host."""
