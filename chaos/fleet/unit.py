"""Paramedic as a service of a plain VM: deploy/paramedic.service as it is shipped, under a real systemd, with nothing around it
but a host to mend. Proves that the hardening lets it work, that a crash is survived and that a stop drains."""

import json
import shutil
import tempfile
import urllib.request
from pathlib import Path

from children import fetch
from engine import SUBNET
from hosts import DEPLOY
from transcript import acts, show
from watch import CONFIG
from words import Failure, say, until

UNIT, PORT = "paramedic.service", 9911
PATIENCE = 60

MAIN = f"""
server: {{listen: '0.0.0.0:{PORT}', webhook_token: '${{PARAMEDIC_WEBHOOK_TOKEN}}'}}
mode: auto
"""

SERVICES = """
ssh_ca: {{key_file: /etc/paramedic/ssh_ca, source_address: ['{subnet}']}}
hosts:
  - name: {host}
    reach:
      ssh: {{address: {address}, user: paramedic, known_hosts_file: /etc/paramedic/known_hosts}}
services:
  - {{name: api-gateway, hosts: [{host}], reach: {{systemd: {{unit: api-gateway.service}}}}}}
"""

ALERT = {
    "fingerprint": "c0ffee0000000001", "startsAt": "2026-01-01T00:00:00Z",
    "labels": {"alertname": "ServiceDown", "service": "api-gateway"}, "annotations": {"description": "posted by hand"},
}


class Unit:
    """The service on `host`, and the door it has for others."""

    def __init__(self, host, token):
        self.host, self.token, self.door = host, token, f"http://{host.address}:{PORT}"

    def configure(self, keys, target):
        """What an operator puts into /etc/paramedic, with the owners that deploy/paramedic.service expects."""
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "paramedic.yaml").write_text(MAIN)
            (place / "services.yaml").write_text(SERVICES.format(host=target.name, address=target.inner_address(), subnet=SUBNET))
            (place / "paramedic.env").write_text(f"PARAMEDIC_WEBHOOK_TOKEN={self.token}\n")
            kind, key = keys.host_key(target.name).with_suffix(".pub").read_text().split()[:2]
            (place / "known_hosts").write_text(f"{target.inner_address()} {kind} {key}\n")
            shutil.copy(CONFIG / "classifier.yaml", place)
            shutil.copytree(CONFIG / "runbooks", place / "runbooks")
            shutil.copytree(CONFIG / "policies", place / "policies")
            self.host.put(place, "/etc/paramedic")
        self.host.put(keys.authority, "/etc/paramedic/ssh_ca", mode=0o600)
        self.host.put(DEPLOY / "paramedic.service", f"/etc/systemd/system/{UNIT}")
        self.host.run("chown", "paramedic", "/etc/paramedic/ssh_ca")
        self.host.run("chgrp", "paramedic", "/etc/paramedic/paramedic.env")
        self.host.run("chmod", "640", "/etc/paramedic/paramedic.env")
        self.host.run("systemctl", "daemon-reload")

    def start(self):
        self.host.run("systemctl", "start", UNIT)
        self.ready()

    def ready(self):
        until(f"{UNIT} is ready on {self.host.name}", lambda: fetch(f"{self.door}/readyz") is not None, 30)

    def post(self, status):
        """One alert, as Alertmanager would bring it."""
        body = json.dumps({"version": "4", "groupKey": "{}", "status": status, "alerts": [{**ALERT, "status": status}]}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(f"{self.door}/webhooks/alertmanager", body, headers), timeout=10) as answer:
            return answer.status

    def incident(self):
        """The newest one, in full; None if there is none."""
        found = json.loads(fetch(f"{self.door}/api/incidents?limit=1", self.token))
        return json.loads(fetch(f"{self.door}/api/incidents/{found[0]['id']}", self.token)) if found else None

    def shown(self):
        return self.host.shown(UNIT, "ActiveState", "MainPID", "NRestarts", "Result", "ExecMainStatus")

    def log(self):
        return self.host.run("journalctl", "-u", UNIT, "-o", "cat", "-n", "40", "--no-pager", check=False)


def runs_as_a_unit(unit, target):
    print(f"\n== Paramedic is a unit itself: {UNIT} on {unit.host.name}", flush=True)
    try:
        unit.start()
        say(f"ready; {unit.host.run('systemd-analyze', 'security', '--no-pager', UNIT, check=False).strip().splitlines()[-1]}")
        is_confined(unit)
        mends(unit, target)
        survives_a_kill(unit)
        drains(unit)
        refuses_a_wrong_configuration(unit)
    except Failure:
        print(f"\n{UNIT} SAID\n{unit.log()}", flush=True)
        raise


def is_confined(unit):
    """The hardening is in force, and not merely written down: a systemd that cannot apply a setting leaves it out in silence."""
    pid = unit.shown()["MainPID"]
    status = dict(line.split(":\t", 1) for line in unit.host.run("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line)
    mounts = {line.split()[1]: line.split()[3].split(",") for line in unit.host.run("cat", f"/proc/{pid}/mounts").splitlines()}
    seen = {**status, "/": mounts["/"][0], "/var/lib/paramedic": mounts["/var/lib/paramedic"][0]}
    wanted = {"NoNewPrivs": "1", "Seccomp": "2", "CapBnd": "0" * 16, "CapEff": "0" * 16, "/": "ro", "/var/lib/paramedic": "rw"}
    if wrong := {key: seen.get(key) for key, value in wanted.items() if seen.get(key) != value}:
        raise Failure(f"{UNIT} is not confined: {wrong}")
    say("confined: no capabilities, a system call filter, nothing writable but its state folder")


def mends(unit, target):
    target.run("systemctl", "kill", "-s", "SIGKILL", "api-gateway.service")
    until("api-gateway is down", lambda: target.unit("api-gateway.service")[0] == "failed", 10)
    unit.post("firing")

    def restarted():
        incident = unit.incident()
        return incident if incident and [act for act in acts(incident, "restart_service") if act["outcome"] == "succeeded"] else None
    until("an alert posted to it restarts api-gateway over SSH", restarted, PATIENCE)
    unit.post("resolved")
    until("the incident is resolved", lambda: unit.incident()["state"] == "resolved", PATIENCE)
    show(unit.incident())
    if target.unit("api-gateway.service")[0] != "active":
        raise Failure("the unit called api-gateway mended, and it is not active")


def survives_a_kill(unit):
    before, known = unit.shown(), unit.incident()
    unit.host.run("systemctl", "kill", "-s", "SIGKILL", UNIT)
    until("systemd has started it again", lambda: unit.shown()["MainPID"] not in ("0", before["MainPID"]), 30)
    unit.ready()
    if unit.incident() != known:
        raise Failure("the incident is not what it was before the kill")
    say(f"killed, started again by systemd ({unit.shown()['NRestarts']} restart), and it knows its incident")


def drains(unit):
    unit.host.run("systemctl", "stop", UNIT)
    expect(unit.shown(), ActiveState="inactive", Result="success", ExecMainStatus="0")
    say("stopped by SIGTERM: exit code 0")


def refuses_a_wrong_configuration(unit):
    unit.host.run("sh", "-c", "echo 'mode: maybe' >>/etc/paramedic/paramedic.yaml")
    unit.host.run("systemctl", "start", UNIT)
    until("it has failed", lambda: unit.shown()["ActiveState"] == "failed", 10)
    expect(unit.shown(), ExecMainStatus="64", NRestarts="0")
    say("a wrong configuration ends with 64 and is not tried again")


def expect(shown, **wanted):
    if wrong := {key: shown.get(key) for key, value in wanted.items() if shown.get(key) != value}:
        raise Failure(f"systemctl show {UNIT} says {wrong}, expected {wanted}")
