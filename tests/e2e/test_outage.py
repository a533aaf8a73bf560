# SPDX-License-Identifier: MIT
"""The authorization server goes away for longer than a token lives, while requests go on."""
import threading
import time

import pytest
from conftest import one_route
from kit.auth_server import AuthServer
from kit.process import free_port, wait_until


@pytest.fixture
def lone_auth(certs):
    """A real authorization server that may be taken away: (server, start anew)."""
    port = free_port()
    servers = [AuthServer(certs, port)]

    def again():
        servers.append(AuthServer(certs, port))
        return servers[-1]

    yield servers[0], again
    for server in servers:
        server.stop()


class Load:
    """Requests without end from a few clients; each is noted: (sent, answered, status)."""

    def __init__(self, daemon, clients=4):
        self.daemon, self.notes, self.faults = daemon, [], []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        try:
            with self.daemon.client() as client:
                while not self._end.wait(0.01):
                    sent = time.monotonic()
                    answer = client.ask()
                    self.notes.append((sent, time.monotonic(), answer))
        except Exception as fault:
            self.faults.append(fault)

    def stop(self):
        self._end.set()
        for thread in self._threads:
            thread.join(20)
        assert not self.faults, self.faults
        return sorted(self.notes, key=lambda note: note[0])


def test_T04_an_outage_of_twice_the_tokens_lifetime_under_load(start, lone_auth, upstream):
    """Until the token's end every request succeeds, after it each gets a prompt 503; the first token afterwards serves."""
    auth, again = lone_auth
    daemon = start(one_route(auth.credential(resource="urn:ttl:4", clock_skew="500ms"), upstream.url))
    load = Load(daemon)
    wait_until(lambda: len(set(upstream.tokens())) == 2, 10, "a renewal")
    auth.stop()
    down = time.monotonic()
    wait_until(lambda: load.notes[-1][2].status == 503, 10, "the token's end")
    time.sleep(max(0, down + 8 - time.monotonic()))
    failed_before = daemon.log.count("event=token.failed")
    again()
    back = time.monotonic()
    wait_until(lambda: load.notes[-1][2].status == 200, 70, "the token after the outage")
    answered = len(load.notes)
    wait_until(lambda: len(load.notes) > answered + 50, 10, "more answers")
    notes = load.stop()
    daemon.wait_log("event=token.recovered")
    statuses = [answer.status for _, _, answer in notes]
    first, last = statuses.index(503), len(statuses) - statuses[::-1].index(503)
    assert set(statuses[:first]) == {200} and set(statuses[last + 4 :]) == {200}
    assert notes[first][0] - down > 1.5, "given up before the token's end"
    # Four clients: what was under way when the first was refused may be answered either way.
    assert statuses[first + 4 : last - 4].count(200) == 0
    assert all(int(answer.get("Retry-After")) >= 1 for _, _, answer in notes if answer.status == 503)
    assert max(answered - sent for sent, answered, _ in notes) < 5
    assert 2 <= failed_before <= 8, "too many token requests in eight seconds"
    assert back - down >= 8
