"""A group of Redis or Valkey servers as pods of Kubernetes."""
