"""The end state that all contenders bring about: the cache service's load balancer, as this project says it.

`ansible/playbook.yml` and `pyinfra/deploy.py` say the same in their own words; `hosts.py` proves that it is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import jinja2
import pulumi

from components.host import Check, Directory, File, RoleSpec, Unit, User, Validation

FILES: Final = Path(__file__).parent / "files"
USER: Final = "cache-probe"
UNIT: Final = "haproxy.service"
CONFIGURATION: Final = "/etc/haproxy/haproxy.cfg"
ENVIRONMENT: Final = "/etc/haproxy/environment.cfg"
PROBE: Final = "/etc/cache-probe/probe.conf"
DROP_IN: Final = f"/etc/systemd/system/{UNIT}.d/cache-service.conf"

_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FILES),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,
)


def render(template: str, **values: str | int) -> str:
    """Render one of the files that all contenders share."""
    return _TEMPLATES.get_template(template).render(values)


def load_balancer(maxconn: int, password: pulumi.Input[str]) -> RoleSpec:
    """Say what is put on each host.

    Args:
        maxconn: The one line that scenarios change.
        password: What the secret file holds.
    """
    secret = pulumi.Output.from_input(password).apply(lambda text: render("environment.cfg.j2", password=text))
    return RoleSpec(
        name="haproxy",
        packages=("haproxy",),
        users=(User(name=USER),),
        directories=(
            Directory(path=str(Path(DROP_IN).parent)),
            Directory(path=str(Path(PROBE).parent), mode=0o750, group=USER),
        ),
        files=(
            File(path=CONFIGURATION, content=render("haproxy.cfg.j2", maxconn=maxconn)),
            File(path=ENVIRONMENT, content=secret, mode=0o600, secret=True),
            File(path=PROBE, content=render("probe.conf"), mode=0o640, group=USER),
            File(path=DROP_IN, content=render("haproxy.service.conf")),
        ),
        units=(Unit(name=UNIT, reload_on=(CONFIGURATION, ENVIRONMENT), restart_on=(DROP_IN,)),),
        validations=(
            Validation(name="haproxy -c", command=f"haproxy -c -f @{{{ENVIRONMENT}}} -f @{{{CONFIGURATION}}}"),
        ),
        checks=(Check(name="listens", command="ss -Hltn 'sport = :30379' | grep -Fq ' 127.0.0.1:30379 '"),),
    )
