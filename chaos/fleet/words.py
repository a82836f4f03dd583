"""What the fleet says on the terminal, and how it waits. Never sleeps where a condition can be asked for, and never hides
why a wait was in vain: the last answer is part of the failure."""

import subprocess
import sys
import time

STARTED = time.monotonic()


class Failure(Exception):
    """The fleet cannot go on; the text says what was expected, what was seen and where to look."""


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f}s] {text}", flush=True)


def shell(*argv, timeout=60, check=True, **more):
    """Runs a program to its end and returns its standard output; a failure carries what it said."""
    more.setdefault("stdin", subprocess.DEVNULL)
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, **more)
    except FileNotFoundError:
        raise Failure(f"`{argv[0]}` is not installed: scripts/setup-tests.sh installs what the fleet needs") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"`{' '.join(argv)}` did not end within {timeout} s") from None
    if check and done.returncode != 0:
        raise Failure(f"`{' '.join(argv)}` ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def until(what, ask, timeout, every=0.1):
    """Asks until the answer is true and returns it. `ask` may raise Failure or OSError for "not yet"."""
    deadline = time.monotonic() + timeout
    last = None
    while time.monotonic() < deadline:
        try:
            answer = ask()
            if answer:
                return answer
            last = answer
        except (Failure, OSError, ValueError) as error:
            last = error
        time.sleep(every)
    raise Failure(f"waited {timeout} s in vain until {what}; the last answer was: {last!r}")


def tail(path, lines=25):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-lines:])
    except OSError as error:
        return f"(cannot read {path}: {error})"


def complain(text):
    print(text, file=sys.stderr, flush=True)
