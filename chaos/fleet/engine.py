"""A Docker Engine of the fleet's own, and the host image with a real systemd in it. Its socket, state and bridge are its own,
it writes no firewall rule, and it never touches another Docker on the machine."""

import fcntl
import hashlib
import os
import shutil
from pathlib import Path

from children import Child
from words import Failure, say, shell, until

PACKAGES = "systemd,systemd-sysv,dbus,openssh-server,prometheus-node-exporter,procps,iproute2,busybox"
# debootstrap configures packages in an order in which this one's dependency (xml-core) fails; apt-get gets it right.
LATER = "polkitd"
NETWORK, BRIDGE, SUBNET = "paramedic-chaos", "pm-chaos0", "172.31.253.0/24"
LABEL = "paramedic.chaos"


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "paramedic-chaos"


def suite():
    """The hosts run the same Debian as this machine, so that the binary finds the C library it was built with."""
    if chosen := os.environ.get("PARAMEDIC_CHAOS_SUITE"):
        return chosen
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    name = release.get("VERSION_CODENAME", "").strip('"')
    return name if release.get("ID") == "debian" and name else "bookworm"


class Engine:
    def __init__(self, run):
        self.run, self.cache = run, cache_folder()
        self.socket = run / "docker.sock"
        self.cache.mkdir(parents=True, exist_ok=True)
        # The image store in the cache is one dockerd's at a time.
        self.lock = open(self.cache / "lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"another chaos fleet is running (it holds {self.cache}/lock)") from None
        self.daemon = None

    def start(self):
        # Published ports go through docker-proxy on loopback, so no iptables rule, no forwarding, no masquerading.
        self.daemon = Child(
            "dockerd",
            ["dockerd", "--data-root", str(self.cache / "docker"), "--exec-root", str(self.run / "docker"),
             "--pidfile", str(self.run / "docker.pid"), "-H", f"unix://{self.socket}", "--bridge=none",
             "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--userland-proxy=true"],
            self.run / "dockerd.log",
            # Holds the lock as long as it lives, longer than this run if that is killed.
            inherit=(self.lock.fileno(),),
        )
        until("dockerd answers", lambda: self.daemon.alive() and self.docker("version"), 60)
        self.sweep()
        self.docker("network", "create", "--driver", "bridge", "--subnet", SUBNET,
                    "--opt", f"com.docker.network.bridge.name={BRIDGE}", NETWORK)

    def docker(self, *argv, timeout=120, **more):
        # DOCKER_CONTEXT and DOCKER_HOST of the caller must not lead elsewhere.
        env = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        return shell("docker", "-H", f"unix://{self.socket}", *argv, timeout=timeout, env=env, **more)

    def sweep(self):
        """Removes the hosts and the network of this run, or of one that was killed."""
        if left := self.docker("ps", "-aq", "--filter", f"label={LABEL}").split():
            # A paused container takes no signal.
            for name in self.docker("ps", "-q", "--filter", f"label={LABEL}", "--filter", "status=paused").split():
                self.docker("unpause", name)
            self.docker("rm", "-f", *left)
        if NETWORK in self.docker("network", "ls", "--format", "{{.Name}}").split():
            self.docker("network", "rm", NETWORK)

    def stop(self):
        if self.daemon is None:
            return
        try:
            self.sweep()
        finally:
            self.daemon.stop(30)

    def image(self):
        """The host image's name; built once, about a minute, then kept in the cache."""
        recipe = f"1 {suite()} {PACKAGES} {LATER}"
        name = f"paramedic-chaos-host:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
        if self.docker("images", "-q", name).strip():
            return name
        say(f"building the host image (debootstrap {suite()}, once, about a minute)")
        root = self.cache / "root"
        shutil.rmtree(root, ignore_errors=True)
        try:
            shell("debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite(), str(root), timeout=900)
            prepare(root)
            self.load(root, name)
        finally:
            shutil.rmtree(root, ignore_errors=True)
        return name

    def load(self, root, name):
        tar = root.with_suffix(".tar")
        try:
            shell("tar", "-C", str(root), "-cf", str(tar), ".", timeout=300)
            self.docker("import", "-c", 'ENTRYPOINT ["/sbin/init"]', str(tar), name, timeout=300)
        finally:
            tar.unlink(missing_ok=True)


def prepare(root):
    """The account that `paramedic hand` runs as: reads the journal, owns nothing; no identity baked in that hosts would share."""
    shell("chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive",
          "apt-get", "-y", "-q", "--no-install-recommends", "install", LATER, timeout=300)
    shell("chroot", str(root), "useradd", "--system", "--create-home", "--home-dir", "/var/lib/paramedic",
          "--shell", "/bin/sh", "--groups", "systemd-journal", "paramedic")
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
    # Nothing on a host of the fleet renews package lists or trims disks.
    shell("chroot", str(root), "systemctl", "mask", "apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "e2scrub_all.timer")


def forget():
    """Removes the cached image; the next run builds it anew."""
    cache = cache_folder()
    if not cache.exists():
        return say(f"{cache} does not exist: nothing to forget")
    with open(cache / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"a chaos fleet is running (it holds {cache}/lock)") from None
        shutil.rmtree(cache)
    say(f"removed {cache}")
