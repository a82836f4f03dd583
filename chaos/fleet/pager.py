"""A loopback stand-in for PagerDuty's Events API v2: keeps what it is sent and is as strict as the real one about its fields.
It pages nobody."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SEVERITIES = {"critical", "warning", "error", "info"}


class Pager:
    def __init__(self, routing_key):
        self.routing_key, self.events, self.refused = routing_key, [], []
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                wrong = pager.take(self.path, body)
                answer = {"status": "invalid event", "message": wrong, "errors": [wrong]} if wrong else {"status": "success", "message": "Event processed"}
                said = json.dumps(answer).encode()
                self.send_response(400 if wrong else 202)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, body):
        """None for an event that PagerDuty would take, else what is wrong with it."""
        wrong = self.check(path, body)
        if wrong:
            self.refused.append(wrong)
        else:
            self.events.append(json.loads(body))
        return wrong

    def check(self, path, body):
        if path != "/v2/enqueue":
            return f"no such path {path}"
        if len(body) > 512 * 1024:
            return "larger than 512 KB"
        try:
            event = json.loads(body)
        except ValueError as error:
            return f"not JSON: {error}"
        if event.get("routing_key") != self.routing_key:
            return "unknown routing_key"
        if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
            return f"event_action is {event.get('event_action')!r}"
        if not 0 < len(event.get("dedup_key") or "") <= 255:
            return "dedup_key is absent or longer than 255"
        if event["event_action"] != "trigger":
            return None
        payload = event.get("payload") or {}
        absent = [key for key in ("summary", "source", "severity") if not payload.get(key)]
        if absent:
            return f"payload lacks {', '.join(absent)}"
        if len(payload["summary"]) > 1024:
            return "summary is longer than 1024"
        return None if payload["severity"] in SEVERITIES else f"severity is {payload['severity']!r}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
