# SPDX-License-Identifier: MIT
"""A configuration with something of everything, for the status page: tokens in every state, routes with traffic and
without, an upstream that fails now and then. The servers are scripted; what bearerd says of them is real."""
import contextlib
import random
import threading

from kit.scripted import token_answer

REFUSAL = '{"error": "invalid_client", "error_description": "the secret of this client expired on 1 November"}'
BUSY = "503 Service Unavailable", '{"error": "temporarily_unavailable", "error_description": "down for maintenance"}'


class Scene:
    def __init__(self, token_server, scripted, certs, seconds):
        """seconds: after so long, one token is due and another one's renewal has failed."""
        self.over = threading.Event()
        self.chance = random.Random(5)
        lifetime = int(1.3 * seconds)
        steady = token_server(token_answer("steady-token", 3600))
        slow = token_server(token_answer("slow-token", lifetime), self.never)
        failing = token_server(token_answer("failing-token", lifetime), BUSY)
        refusing = token_server(("401 Unauthorized", REFUSAL))
        shop = scripted(on=lambda exchange: exchange.answer(body=b"{}"), certs=certs)
        stock, search = scripted(on=self.stumble), scripted(on=lambda exchange: exchange.answer(body=b"[]"))
        # What a server says is withheld where it repeats the secret.
        common = {"client_secret": "not-to-be-seen"}
        soon = {**common, "clock_skew": "1s", "refresh_before": "10m"}
        self.ini = (
            steady.credential("shop", required="yes", **common, audience="https://shop.example")
            + slow.credential("search", timeout="10m", **soon)
            + failing.credential("billing", **soon)
            + refusing.credential("legacy-crm", **common)
            + "[credential sandbox]\nsource = static\ntoken = a-token-for-the-sandbox\n"
            + f"[upstream shop]\nurl = {shop.url}\nhosts = shop.example\nca_file = {certs.ca}\n"
            + f"[upstream warehouse]\nurl = {stock.url}\nhosts = warehouse.example\n"
            + f"[upstream search]\nurl = {search.url}\nhosts = search.example\n"
            + route("orders", "GET HEAD /orders/**", "shop", "shop", "orders:read")
            + route("place-orders", "POST PUT PATCH /orders/**", "shop", "shop", "orders:read orders:write")
            + route("stock", "/stock/**", "shop", "warehouse", "orders:read")
            + route("search", "/search", "search", "search", "search")
            + route("invoices", "/invoices/**", "billing", "shop", "invoices:read invoices:write")
            + route("customers", "/customers/**", "legacy-crm", "shop", "crm")
            + route("sandbox", "/sandbox/**", "sandbox", "search", "")
        )

    def never(self, exchange):
        self.over.wait(900)
        exchange.close()

    def stumble(self, exchange):
        if self.chance.random() < 0.08:
            exchange.read_body()
            exchange.close()
        else:
            exchange.answer("500 Internal Server Error" if self.chance.random() < 0.06 else "200 OK")

    @contextlib.contextmanager
    def traffic(self, daemon):
        shop, warehouse, search = "shop.example", "warehouse.example", "search.example"
        wishes = [("GET", shop, "/orders/7", 14), ("POST", shop, "/orders/7", 3), ("GET", warehouse, "/stock/7", 5),
                  ("GET", search, "/search", 1.5), ("GET", shop, "/invoices/7", 1), ("GET", shop, "/customers/7", 0.2),
                  ("GET", search, "/sandbox/7", 0.3), ("GET", shop, "/favicon.ico", 0.1)]  # fmt: skip
        threads = [threading.Thread(target=self.ask, args=[daemon, *wish], daemon=True) for wish in wishes]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join(10)

    def ask(self, daemon, method, host, target, rate):
        """With ups and downs."""
        chance, count = random.Random(target + method), 0
        while not self.over.wait(chance.expovariate(rate * (0.6 + 0.4 * (count // 40 % 3)))):
            daemon.ask(method, target, body=b"{}" if method == "POST" else None, host=host)
            count += 1


def route(name, match, credential, upstream, scopes):
    scopes = f"scopes = {scopes}\n" if scopes else ""
    return f"[route {name}]\nmatch = {match}\ncredential = {credential}\nupstream = {upstream}\n{scopes}"
