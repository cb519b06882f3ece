"""What `make verify` runs: live checks of every host of a stack, and the verdict whether its data tier is sealed.

`stack` reads from the state what was declared, `connection` and `facts.sh` fetch what the hosts really have, and each
module of `families` holds one family of checks: pure functions over the two, and probes where only a try can tell.
"""
