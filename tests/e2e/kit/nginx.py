# SPDX-License-Identifier: MIT
"""A real nginx as upstream: TLS, with and without client certificates, static files, and a pass-through to a
scripted server for what only that can show."""
import shutil

from kit.process import Process, free_port, wait_until

BIG = 64 << 20  # bytes of /files/big.bin

CONFIG = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr notice;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log; client_max_body_size 0; client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    ssl_certificate {certificate}; ssl_certificate_key {key}; keepalive_timeout 60; keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{port}; listen 127.0.0.1:{tls_port} ssl;
        location /echo {{ default_type text/plain;
            return 200 "$request\\nhost=$http_host\\nauthorization=$http_authorization\\nvia=$http_via\\n"; }}
        location /files/ {{ alias {folder}/files/; }}
        location /status/204 {{ return 204; }}
        location /status/205 {{ return 205; }}
        location /moved {{ return 302 https://elsewhere.example.test/; }}
        location / {{ return 404; }}
    }}
    server {{
        listen 127.0.0.1:{mtls_port} ssl; ssl_client_certificate {ca}; ssl_verify_client on;
        location / {{ default_type text/plain; return 200 "subject=$ssl_client_s_dn\\n"; }}
    }}
}}
"""


class Nginx:
    def __init__(self, folder, certs):
        self.folder = folder
        (folder / "files").mkdir(parents=True)
        (folder / "files/small.txt").write_text("small file\n")
        with open(folder / "files/big.bin", "wb") as big:
            big.truncate(BIG)
        self.port, self.tls_port, self.mtls_port = free_port(), free_port(), free_port()
        self.plain_url = f"http://127.0.0.1:{self.port}"
        self.url = f"https://localhost:{self.tls_port}"
        self.mtls_url = f"https://localhost:{self.mtls_port}"
        self.ca_file = certs.ca
        config = folder / "nginx.conf"
        config.write_text(
            CONFIG.format(
                folder=folder, certificate=certs.server, key=certs.key_of(certs.server), ca=certs.ca,
                port=self.port, tls_port=self.tls_port, mtls_port=self.mtls_port,
            )
        )  # fmt: skip
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        self.process = Process([program, "-p", folder, "-c", config], name="nginx")
        self.process.wait_line("start worker|using the|built by", timeout=20)
        wait_until((folder / "nginx.pid").exists, 10, "nginx is up")

    def upstream(self, url=None, **settings):
        rows = {"url": url or self.url, "ca_file": self.ca_file, **settings}
        return "[upstream nginx]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items())

    def access_count(self):
        return len((self.folder / "access.log").read_text().splitlines())

    def stop(self):
        self.process.stop()
