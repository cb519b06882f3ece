"""The bare engine: as many component resources as configured, with nothing in them."""

import pulumi

config = pulumi.Config()
for number in range(config.require_int("resources")):
    pulumi.ComponentResource("sealed-data-tier:bench:Empty", f"empty{number}")
