# SPDX-License-Identifier: MIT
"""A real redis-server, which can be taken away and brought back at the same place."""
import subprocess

from kit.process import Process, free_port


def ask(port, *words, certs=None):
    """What redis-cli says to a command: the whole of it, raw bytes."""
    tls = ["--tls", "--cacert", certs.ca] if certs else []
    command = ["redis-cli", "-h", "localhost", "-p", str(port), *tls, *words]
    return subprocess.run(command, capture_output=True, timeout=20, check=True).stdout


class Redis:
    def __init__(self, folder, *settings, certs=None):
        """settings: more of redis-server's words; certs: TLS, and nothing else."""
        self.folder, self.certs, self.port = folder, certs, free_port()
        folder.mkdir(exist_ok=True)
        ports = ["--port", self.port]
        if certs:
            ports = ["--port", 0, "--tls-port", self.port, "--tls-auth-clients", "optional"]
            ports += ["--tls-cert-file", certs.server, "--tls-key-file", certs.key_of(certs.server)]
            ports += ["--tls-ca-cert-file", certs.ca]
        self._argv = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--dir", folder, *ports, *settings]
        self.process = None

    def start(self):
        self.process = Process(self._argv, name="redis-server")
        self.process.wait_line("Ready to accept connections", timeout=20)
        return self

    def url(self, login="", db=""):
        return f"{'rediss' if self.certs else 'redis'}://{login}localhost:{self.port}{db}"

    def ask(self, *words):
        return ask(self.port, *words, certs=self.certs)

    def stop(self):
        if self.process:
            self.process.kill()
        self.process = None
