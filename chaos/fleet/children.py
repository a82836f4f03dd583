"""Programs that the fleet starts beside itself, each with a log file of its own. Ends only what it started."""

import ctypes
import os
import signal
import socket
import subprocess
import urllib.request

from words import Failure, tail, until


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_us():
    """Between fork and exec: should this run be killed, the kernel sends SIGTERM to what it started."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One program, from start to SIGTERM; SIGKILL only for one that does not listen."""

    def __init__(self, name, argv, log, inherit=()):
        self.name, self.log = name, log
        try:
            with open(log, "ab") as out:
                self.process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, pass_fds=inherit,
                    preexec_fn=die_with_us,
                )
        except FileNotFoundError:
            raise Failure(f"`{argv[0]}` is not installed: scripts/setup-tests.sh installs what the fleet needs") from None

    def alive(self):
        if self.process.poll() is None:
            return True
        raise SystemExit(f"{self.name} ended with {self.process.returncode}; its log {self.log} ends with:\n{tail(self.log)}")

    def ready(self, url, timeout=30):
        """Waits until `url` answers 200."""
        until(f"{self.name} is ready at {url}", lambda: self.alive() and fetch(url) is not None, timeout)

    def stop(self, patience=15):
        if self.process.poll() is not None:
            return self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait(5)


def fetch(url, token=None, timeout=5):
    """The body of a 2xx answer; anything else raises (urllib's errors are OSErrors)."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    # Loopback only: a proxy of the environment has no part in this.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout) as answer:
        return answer.read()
