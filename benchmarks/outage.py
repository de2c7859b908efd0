"""A receiver and a broker that are down, and a server that is killed: what became of every event.

python -m benchmarks.outage --seconds 120
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import httpx

from tests.browser import LiveSite
from tests.test_carriers import Broker, Listener, Receiver
from tracker.events.store import EventStore
from tracker.live.rights import API

WARM_S, DRAIN_S = 30.0, 180.0
"""For how long all is well at first, and may take until everything is delivered in the end."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print what came to each; 1 if an event is missing, or came in another order."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outage", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="for how long both are down")
    arguments = parser.parse_args(argv)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        receiver, broker = Receiver(), Broker(folder)
        up = stack.enter_context(ExitStack())
        up.enter_context(receiver.running())
        broker.start()
        stack.callback(broker.kill)
        listener = stack.enter_context(closing(Listener(broker.port)))
        site = stack.enter_context(closing(LiveSite(folder, "--set", "embedder.kind=none")))
        headers = {"X-Reunite": "1"}
        client = stack.enter_context(
            httpx.Client(base_url=site.address + API[1:], headers=headers, timeout=60)
        )
        client.post("/session", json={"token": site.entry.partition("#token=")[2]}).raise_for_status()
        hook = {"name": "desk", "address": f"http://127.0.0.1:{receiver.port}/hook"}
        body = {"webhooks": [hook], "mqtt": {"host": "127.0.0.1", "port": broker.port}}
        first = EventStore(site.folder / "events.sqlite").last_seq()
        client.put("/carriers", json=body).raise_for_status()
        time.sleep(WARM_S)
        up.close()
        broker.kill()
        site.kill_server()
        time.sleep(arguments.seconds)
        stack.enter_context(receiver.running())
        broker.start()
        time.sleep(5)
        until = EventStore(site.folder / "events.sqlite").last_seq()
        give_up = time.monotonic() + DRAIN_S
        while (
            time.monotonic() < give_up
            and min(max(it or [0]) for it in (receiver.seqs, listener.events)) < until
        ):
            time.sleep(1)
        lines = (site.folder / "events.jsonl").read_text().splitlines()
        return report(first, until, {"webhook": receiver.seqs, "mqtt": listener.events}, len(lines))


def report(first: int, until: int, came: dict[str, list[int]], lines: int) -> int:
    """Say what is missing; 1 if anything is."""
    missing = 0
    for name, seqs in came.items():
        lost = set(range(first + 1, until + 1)) - set(seqs)
        again = len(seqs) - len(set(seqs))
        print(f"{name}: {until - first} events, {len(lost)} lost, {again} came again with the same seq")
        missing += len(lost)
    print(f"events.jsonl: {lines} lines, {until} events")
    return int(missing > 0 or lines < until)


if __name__ == "__main__":
    sys.exit(main())
