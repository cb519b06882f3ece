"""Print which installed packages bring a Pulumi plugin, as JSON, with what each says about it."""

import json
import re
from importlib.metadata import distributions

WITHOUT_PLUGIN = {"pulumi-policy", "pulumi-esc-sdk"}

packages = []
for distribution in distributions():
    name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
    described = [file for file in distribution.files or [] if file.name == "pulumi-plugin.json"]
    if name not in WITHOUT_PLUGIN and (described or name.startswith("pulumi-")):
        plugin = json.loads(described[0].read_text()) if described else {"resource": True}
        packages.append({"name": name, "version": distribution.version, "plugin": plugin})
print(json.dumps(packages))
