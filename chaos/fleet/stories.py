"""What is broken, and what has to come of it. Each story breaks one thing as the world would, then only looks."""

import time

from hosts import LOGS
from transcript import acts, at, show, waited
from words import Failure, say, until

PATIENCE = 60


def unit_is_killed(watch, host):
    unit = "api-gateway.service"
    print(f"\n== A unit is killed: {unit} on {host.name}", flush=True)
    killed = time.time()
    host.run("systemctl", "kill", "-s", "SIGKILL", unit)

    def back():
        state, since = host.unit(unit)
        return since if state == "active" and since > killed else None
    active = until(f"{unit} is active again on {host.name}", back, PATIENCE)
    say(f"{unit} is active again")
    incident = settled(watch, "ServiceDown", "api-gateway", "resolved")
    show(incident)

    restarts = acts(incident, "restart_service")
    expect(len(restarts) == 1 and restarts[0]["verdict"] == "allow", f"expected one allowed restart, the incident has {restarts}")
    raised, asked, told = at(incident, "raised"), at(incident, "started", "restart_service"), at(incident, "finished", "restart_service")
    expect(raised <= asked <= active, "the unit came back before Paramedic asked for it: somebody else restarted it")
    times(
        ("kill → restart (unit active again)", active - killed),
        ("  seen and reported by Prometheus and Alertmanager (kill → webhook)", raised - killed),
        ("  webhook received → restart dispatched", asked - raised),
        ("    of it the host's answers over SSH (its state, its logs)", waited(incident, asked)),
        ("    of it Paramedic itself: record, classify, plan, judge", asked - raised - waited(incident, asked)),
        ("  restart dispatched → unit active (SSH and systemd)", active - asked),
        ("Paramedic's share, SSH and systemd included: webhook received → unit active", active - raised),
        ("restart dispatched → hand's answer recorded", told - asked),
    )


def logs_fill_a_disk(watch, host):
    print(f"\n== Logs fill a disk: {LOGS} on {host.name}", flush=True)
    script = f"""cd {LOGS} && for n in 1 2 3 4; do head -c 13M /dev/zero >app.log.$n && touch -d '9 days ago' app.log.$n; done
        head -c 2M /dev/zero >app.log && head -c 1M /dev/zero >app.log.0 && touch -d '6 days ago' app.log.0
        ln -s /etc/hostname link.log && touch -h -d '9 days ago' link.log"""
    host.run("sh", "-c", script)
    incident = settled(watch, "DiskSpaceLow", "demo-app", "resolved")
    show(incident)
    left = host.run("ls", LOGS).split()
    old = [name for name in left if name in {f"app.log.{n}" for n in range(1, 5)}]
    expect(not old, f"logs of nine days ago are still there: {old}")
    expect({"app.log", "app.log.0"} <= set(left), f"young logs are gone: only {left} are left")
    host.run("test", "-s", "/etc/hostname")
    expect(not acts(incident, "restart_service"), "a full disk was answered with a restart")
    say("four logs of nine days ago are gone, those of today and of six days ago are there")


def host_goes_down(watch, host):
    print(f"\n== A host goes down: {host.name} answers nothing any more", flush=True)
    before = {found["id"]: found["state"] for found in watch.incidents()}
    pages = len(triggers(watch))
    since = host.unit("demo-app.service")[1]
    host.pause()
    try:
        incident = settled(watch, "ServiceDown", "demo-app", "escalated")
        show(incident)
        succeeded = [act for act in acts(incident, "restart_service") if act["outcome"] == "succeeded"]
        expect(not succeeded, "a restart on a host that is down was called a success")
        until("a human is paged", lambda: len(triggers(watch)) > pages, PATIENCE)
        say(f"a human is paged: {triggers(watch)[-1]['payload']['summary']}")
    finally:
        host.unpause()
    settled(watch, "ServiceDown", "demo-app", "escalated", "closed", "resolved")
    after = {found["id"]: found["state"] for found in watch.incidents()}
    lost = {key: state for key, state in before.items() if after.get(key) != state}
    expect(not lost, f"earlier incidents are gone or changed: {lost}")
    expect(not watch.pager.refused, f"PagerDuty would have refused events: {watch.pager.refused}")
    expect(host.unit("demo-app.service")[1] == since, "demo-app was restarted although it never stopped")
    say("nothing lost: the earlier incidents stand, and the service on the paused host was never touched")


def settled(watch, alertname, service, *states):
    """The incident, once it is in one of the states; one that ends otherwise fails at once, with its transcript."""
    final = {"resolved", "escalated", "closed"}

    def look():
        incident = watch.incident(alertname, service)
        return incident if incident["state"] in final else None
    try:
        incident = until(f"the incident {alertname} of {service} is {' or '.join(states)}", look, PATIENCE)
    except Failure:
        for found in watch.incidents():
            show(watch.full(found["id"]))
        raise
    if incident["state"] not in states:
        show(incident)
        raise Failure(f"the incident {alertname} of {service} ended {incident['state']}, expected {' or '.join(states)}")
    return incident


def triggers(watch):
    return [event for event in watch.pager.events if event["event_action"] == "trigger"]


def expect(holds, otherwise):
    if not holds:
        raise Failure(otherwise)


def times(*rows):
    print(flush=True)
    for what, seconds in rows:
        print(f"  {seconds * 1000:9.1f} ms  {what}", flush=True)
