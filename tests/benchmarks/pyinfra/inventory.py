"""The hosts, from the file that the benchmark names."""

import json
import os
from pathlib import Path

hosts = [(each.pop("name"), each) for each in json.loads(Path(os.environ["BENCHMARK_HOSTS"]).read_text())]
