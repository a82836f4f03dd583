"""Reads an incident as the API gives it. Knows the shape of its entries and nothing about the fleet."""

from datetime import datetime

from words import Failure


def show(incident):
    print(f"\n  incident {incident['id']}: {incident['alertname']} of {incident['service']}, level {incident['level']}, {incident['state']}")
    for entry in incident["transcript"]:
        print(f"    {entry['at'][11:23]}  {entry['text']}")


def acts(incident, tool):
    return [action for action in incident["actions"] if action["tool"] == tool]


def at(incident, kind, tool=None):
    """When the first entry of this kind was written (of this tool's action, if named), in seconds since 1970."""
    inside = tool is None
    for entry in incident["transcript"]:
        if entry["kind"] == "started" and tool:
            inside = entry["action"]["tool"] == tool
        if entry["kind"] == kind and inside:
            return seconds(entry)
    raise Failure(f"incident {incident['id']} has no entry `{kind}`{f' of {tool}' if tool else ''}")


def waited(incident, until):
    """How long tools ran before that moment: time that hosts and the network took."""
    total, started = 0.0, None
    for entry in incident["transcript"]:
        if seconds(entry) > until:
            break
        if entry["kind"] == "finished" and started is not None:
            total += seconds(entry) - started
        started = seconds(entry) if entry["kind"] == "started" else None
    return total


def seconds(entry):
    return datetime.fromisoformat(entry["at"].replace("Z", "+00:00")).timestamp()
