"""Makes the objects that resources.json declares, so that a test can change them between two runs."""

import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes import apiextensions

config = pulumi.Config()
given = json.loads(Path("resources.json").read_text())
provider = kubernetes.Provider("cluster", kubeconfig=config.require_secret("kubeconfig"), **given.get("provider", {}))
made: dict[str, Any] = {}
for name, inputs in given["objects"].items():
    kind = inputs.pop("type")
    timeouts = pulumi.CustomTimeouts(create=inputs.pop("timeout", None))
    after = [made[each] for each in inputs.pop("after", [])]
    opts = pulumi.ResourceOptions(
        provider=provider, depends_on=after, custom_timeouts=timeouts, import_=inputs.pop("import", None)
    )
    if "type_of_secret" in inputs:
        inputs["type"] = inputs.pop("type_of_secret")
    if "password" in inputs:
        inputs[inputs.pop("password")] = {"password": config.require_secret("password")}
    if kind in ("CustomResource", "CustomResourcePatch"):
        made[name] = getattr(apiextensions, kind)(name, opts=opts, **inputs)
        continue
    group, version, name_of_class = kind.split("/")
    module = getattr(getattr(kubernetes, group), version)
    made[name] = getattr(module, name_of_class)(name, opts=opts, **inputs)
pulumi.export("names", {name: each.metadata["name"] for name, each in made.items()})
