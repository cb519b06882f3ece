"""`make bench`: the same end state by this project, by Ansible and by pyinfra, and previews of up to 1,000 hosts."""
