"""The monitoring that an operator would have, and Paramedic behind it: real Prometheus, real Alertmanager, the real binary, each
with a configuration rendered from config-template/. Knows nothing of what will be broken."""

import json
import secrets
import shutil
import urllib.parse
from pathlib import Path

from children import Child, fetch, free_port
from engine import SUBNET
from pager import Pager
from words import Failure, until

HERE = Path(__file__).resolve().parent
CONFIG = HERE.parent.parent / "config"


class Watch:
    def __init__(self, run, keys, binary):
        self.run, self.binary, self.children = run, binary, []
        self.config = run / "config"
        self.pager = Pager(secrets.token_hex(16))
        token_file = run / "webhook_token"
        token_file.touch(mode=0o600)
        self.token = secrets.token_urlsafe(32)
        token_file.write_text(self.token)
        self.prometheus, self.alertmanager, self.paramedic = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self.values = {
            "PROMETHEUS": self.prometheus, "ALERTMANAGER": self.alertmanager, "PARAMEDIC": self.paramedic,
            "PAGER": self.pager.address, "ROUTING_KEY": self.pager.routing_key, "TOKEN_FILE": str(token_file),
            "STATE": str(run), "CA_FILE": str(keys.authority), "SUBNET": SUBNET, "KNOWN_HOSTS": str(keys.known_hosts),
        }

    def render(self):
        """The fleet's own files from the template, the classifier and the runbooks as the product ships them."""
        self.config.mkdir()
        for source in sorted((HERE / "config-template").iterdir()):
            text = source.read_text()
            for name, value in self.values.items():
                text = text.replace(f"@{name}@", value)
            (self.config / source.name).write_text(text)
        shutil.copy(CONFIG / "classifier.yaml", self.config)
        shutil.copytree(CONFIG / "runbooks", self.config / "runbooks")
        shutil.copytree(CONFIG / "policies", self.config / "policies")

    def start_monitoring(self):
        self.start("prometheus", [
            "prometheus", f"--config.file={self.config}/prometheus.yml", f"--storage.tsdb.path={self.run}/prometheus",
            f"--web.listen-address={self.prometheus}",
        ]).ready(f"http://{self.prometheus}/-/ready")
        self.start("alertmanager", [
            "prometheus-alertmanager", f"--config.file={self.config}/alertmanager.yml", f"--storage.path={self.run}/alertmanager",
            f"--web.listen-address={self.alertmanager}", "--cluster.listen-address=",
        ]).ready(f"http://{self.alertmanager}/-/ready")

    def start_paramedic(self):
        self.start("paramedic", [str(self.binary), "serve", "--config", f"{self.config}/paramedic.yaml"]).ready(
            f"http://{self.paramedic}/readyz"
        )

    def start(self, name, argv):
        child = Child(name, argv, self.run / f"{name}.log")
        self.children.append(child)
        return child

    def stop(self):
        for child in reversed(self.children):
            child.stop()
        self.pager.stop()

    def quiet(self):
        """Waits until both hosts are scraped and nothing fires."""
        def calm():
            up = self.query('up{job="node"}')
            return len(up) == 2 and all(value == 1 for value in up.values()) and not self.query("ALERTS")
        until("both hosts are scraped and no alert fires", calm, 30)

    def query(self, expression):
        """{labels as JSON: value} of an instant query."""
        answer = json.loads(fetch(f"http://{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"))
        return {json.dumps(sample["metric"], sort_keys=True): float(sample["value"][1]) for sample in answer["data"]["result"]}

    def incidents(self):
        return self.ask("?limit=100")

    def incident(self, alertname, service):
        """The newest incident of this alert and service, in full."""
        found = [one for one in self.incidents() if one["alertname"] == alertname and one["service"] == service]
        if not found:
            raise Failure(f"no incident {alertname} of {service} yet")
        return self.full(max(found, key=lambda one: one["opened_at"])["id"])

    def full(self, incident_id):
        return self.ask(f"/{incident_id}")

    def ask(self, what):
        """The read API wants the token that Alertmanager shows."""
        address = f"http://{self.paramedic}/api/incidents{what}"
        try:
            return json.loads(fetch(address, self.token))
        except OSError as error:
            raise Failure(f"{address}: {error}") from error

    def end_well(self):
        """SIGTERM drains: exit 0, or something was cut off."""
        code = next(child for child in self.children if child.name == "paramedic").stop(60)
        if code != 0:
            raise Failure(f"paramedic answered SIGTERM with exit code {code}, expected 0")
