"""Entry point of the policy pack: `pulumi preview --policy-pack policies`."""

import sys
from pathlib import Path

from pulumi_policy import PolicyPack

# The pack runs with its own folder on the path; as everywhere else its modules are imported from the one above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policies.pack import PACK_NAME, policies

PolicyPack(PACK_NAME, policies())
