"""`make bench`: one end state by this project, Ansible and pyinfra; previews of up to 1,000 hosts; what TLS costs."""
