#!/usr/bin/env python3
"""`make chaos`: breaks real services on hosts with a real systemd and watches Paramedic mend them over SSH. Every verdict is read
from the hosts and from Paramedic's transcript; nothing here repairs anything."""

import argparse
import os
import secrets
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import engine
from disk import Disk
from hosts import Host, Keys
from stories import host_goes_down, logs_fill_a_disk, unit_is_killed
from unit import PORT, Unit, runs_as_a_unit
from watch import Watch
from words import Failure, complain, say, shell, tail

NEEDS = {
    "dockerd": "docker.io", "docker": "docker.io", "debootstrap": "debootstrap", "ssh": "openssh-client",
    "ssh-keygen": "openssh-client", "prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager",
    "mkfs.ext4": "e2fsprogs",
}


def main():
    options = arguments()
    # Whatever ends the run, the hosts and programs it started end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit("hung up"))
    try:
        if options.forget:
            return engine.forget()
        check_machine(options.binary)
        with tempfile.TemporaryDirectory(prefix="paramedic-chaos.") as folder:
            run_in(Path(folder), options)
    except Failure as failure:
        complain(f"\nmake chaos FAILED: {failure}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, help="the paramedic binary to put on the hosts and to serve with")
    parser.add_argument("--logs", type=Path, help="copy every log and rendered configuration (no keys) here at the end")
    parser.add_argument("--forget", action="store_true", help="remove the cached host image and end")
    options = parser.parse_args()
    if not options.forget and not options.binary:
        parser.error("--binary is needed")
    return options


def check_machine(binary):
    os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
    if os.geteuid() != 0:
        raise Failure("containers with a systemd in them need root: run it as root, or `sudo -E env PATH=$PATH make chaos`")
    if absent := sorted({package for command, package in NEEDS.items() if not shutil.which(command)}):
        raise Failure(f"not installed: {' '.join(absent)} (apt-get install {' '.join(absent)})")
    if not os.access(binary, os.X_OK):
        raise Failure(f"{binary} is not a program: cargo build --release")


def run_in(folder, options):
    with ExitStack() as stack:
        if options.logs:
            stack.callback(keep_logs, folder, options.logs)
        docker = engine.Engine(folder)
        stack.callback(docker.stop)
        docker.start()
        image = docker.image()

        (folder / "keys").mkdir(mode=0o700)
        keys = Keys(folder / "keys")
        api, app = Host(docker, "api-server-03", "127.0.0.13"), Host(docker, "app-server-01", "127.0.0.11")
        oncall = Host(docker, "oncall-01", "127.0.0.12")
        disk = Disk(docker.cache, app.name)
        stack.callback(disk.stop)
        # Before the disk goes, the host that uses it has to.
        stack.callback(docker.sweep)
        disk.make()
        for host, logs, ports in ((api, None, ()), (app, disk, ()), (oncall, None, (PORT,))):
            keys.know(host.name, host.address)
            host.create(image, keys, options.binary, logs, ports)
            host.boot()
        for host in (api, app, oncall):
            host.booted()
        say(f"hosts up: {api.name}, {app.name} and {oncall.name}, systemd running; the hand is {api.run('paramedic', '--version').strip()}")

        watch = Watch(folder, keys, options.binary.resolve())
        stack.callback(watch.stop)
        watch.render()
        shell(str(options.binary), "check", "--config", str(watch.config / "paramedic.yaml"))
        watch.start_paramedic()
        watch.start_monitoring()
        watch.quiet()
        say("Prometheus scrapes both hosts, Alertmanager posts to Paramedic, nothing fires")
        try:
            unit_is_killed(watch, api)
            logs_fill_a_disk(watch, app)
            host_goes_down(watch, app)
            watch.end_well()
            unit = Unit(oncall, secrets.token_hex(32))
            unit.configure(keys, api)
            runs_as_a_unit(unit, api)
        except Failure:
            complain(f"\nPARAMEDIC'S LOG ENDS WITH\n{tail(folder / 'paramedic.log')}")
            raise
    say("make chaos: everything went as told")


def keep_logs(folder, place):
    place.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        shutil.copy(log, place)
    if (folder / "config").is_dir():
        shutil.copytree(folder / "config", place / "config", dirs_exist_ok=True)


if __name__ == "__main__":
    main()
