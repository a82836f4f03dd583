"""The fleet's hosts: a real systemd each, reached like any server, over SSH with a certificate for each request. What the story changes on a
host it changes as its operator would (systemctl, files), never by way of Paramedic."""

import calendar
import tarfile
import tempfile
import time
from pathlib import Path

from engine import LABEL, NETWORK
from words import Failure, shell, until

HERE = Path(__file__).resolve().parent
DEPLOY = HERE.parent.parent / "deploy"
SSH_PORT, EXPORTER_PORT = 2222, 19100
LOGS = "/var/log/demo-app"


class Host:
    def __init__(self, engine, name, address):
        self.engine, self.name, self.address = engine, name, address

    def create(self, image, keys, binary, logs=None, ports=()):
        """Makes the container and puts its own files in; what is in deploy/hand is what runs."""
        self.engine.docker(
            "create", "--name", self.name, "--hostname", self.name, "--label", LABEL, "--network", NETWORK,
            "-p", f"{self.address}:{SSH_PORT}:22", "-p", f"{self.address}:{EXPORTER_PORT}:9100",
            *(flag for port in ports for flag in ("-p", f"{self.address}:{port}:{port}")),
            "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
            "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp",
            *(["-v", f"{logs.mount}:{LOGS}"] if logs else []), *cgroup_flags(), "-e", "container=docker", image,
        )
        self.put(HERE / "host", "/")
        self.put(DEPLOY / "hand/sshd_paramedic.conf", "/etc/ssh/sshd_config.d/paramedic.conf")
        self.put(DEPLOY / "hand/50-paramedic.rules", "/etc/polkit-1/rules.d/50-paramedic.rules")
        self.put(keys.host_key(self.name), "/etc/ssh/ssh_host_ed25519_key", mode=0o600)
        self.put(DEPLOY / "hand/tmpfiles.conf", "/etc/tmpfiles.d/paramedic-hand.conf")
        self.put(keys.authority.with_suffix(".pub"), "/etc/paramedic/ssh_ca.pub")
        self.put(keys.principals(self.name), "/etc/paramedic/principals")
        if binary:
            self.put(binary, "/usr/local/bin/paramedic", mode=0o755)

    def inner_address(self):
        """Where the other hosts reach it."""
        return self.engine.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self.name).strip()

    def put(self, source, place, mode=0o644):
        """Copies a file or a folder's content in, owned by root."""
        with tempfile.TemporaryFile() as packed:
            with tarfile.open(fileobj=packed, mode="w") as tar:
                tar.add(source, arcname=place.lstrip("/") or ".", filter=lambda entry: as_root(entry, mode))
            packed.seek(0)
            self.engine.docker("cp", "-", f"{self.name}:/", stdin=packed)

    def boot(self):
        self.engine.docker("start", self.name)

    def booted(self):
        """Waits for systemd, then starts the services; `degraded` is named with the units that failed."""
        def state():
            said = self.run("systemctl", "is-system-running", check=False).strip()
            return said if said in ("running", "degraded") else None
        said = until(f"systemd runs on {self.name}", state, 60)
        if said == "degraded":
            raise Failure(f"{self.name} booted degraded:\n{self.run('systemctl', '--failed', '--no-legend', check=False)}")
        self.run("mkdir", "-p", LOGS)
        self.run("chgrp", "paramedic", LOGS)
        self.run("systemctl", "start", "api-gateway.service", "demo-app.service")

    def run(self, *argv, check=True):
        return self.engine.docker("exec", self.name, *argv, timeout=20, check=check)

    def pause(self):
        self.engine.docker("pause", self.name)

    def unpause(self):
        self.engine.docker("unpause", self.name)

    def shown(self, name, *properties):
        """What `systemctl show` says of a unit."""
        said = self.run("systemctl", "show", name, "--timestamp=us+utc", "-p", ",".join(properties))
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def unit(self, name):
        """ActiveState, and when it last became active, in seconds since 1970 (None if never)."""
        shown = self.shown(name, "ActiveState", "ActiveEnterTimestamp")
        return shown["ActiveState"], parse_timestamp(shown.get("ActiveEnterTimestamp", ""))


def parse_timestamp(text):
    """`Fri 2026-11-20 09:12:01.123456 UTC` in seconds since 1970."""
    if not text.strip():
        return None
    _, day, clock, zone = text.split()
    if zone != "UTC":
        raise Failure(f"systemctl show gave `{text}`, expected UTC")
    whole, _, fraction = clock.partition(".")
    return calendar.timegm(time.strptime(f"{day} {whole}", "%Y-%m-%d %H:%M:%S")) + float(f"0.{fraction or 0}")


class Keys:
    """SSH identities of one run: Paramedic's authority, one host key a host, and the known_hosts that ties them together."""

    def __init__(self, folder):
        self.folder = folder
        self.authority, self.known_hosts = folder / "ssh_ca", folder / "known_hosts"
        generate(self.authority, "paramedic@chaos")

    def principals(self, name):
        """Whom the host lets in: certificates that name it."""
        path = self.folder / f"principals_{name}"
        path.write_text(f"paramedic-{name}\n")
        return path

    def know(self, name, address):
        path = self.host_key(name)
        generate(path, name)
        kind, key = path.with_suffix(".pub").read_text().split()[:2]
        with open(self.known_hosts, "a", encoding="utf-8") as file:
            file.write(f"[{address}]:{SSH_PORT} {kind} {key}\n")

    def host_key(self, name):
        return self.folder / f"host_{name}"


def generate(path, comment):
    shell("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))


def cgroup_flags():
    flags = ["-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return ["--cgroupns=host", *flags] if unified else flags


def as_root(entry, mode):
    """The checkout's umask and owner stay out of the hosts."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() else mode
    return entry
