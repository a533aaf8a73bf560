# SPDX-License-Identifier: MIT
"""Real web servers on one tree of files, each in the ways it can be set up to read a path. Each file holds its own
path, so that an answer tells which one the server took the target for."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket

from kit.process import Process, free_port, wait_until

HERE = pathlib.Path(__file__).resolve().parents[1]
MARK = "resource="

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; root {root}; index index.html;
    server {{ listen 127.0.0.1:{nginx}; }}
    server {{ listen 127.0.0.1:{nginx_unmerged}; merge_slashes off; }}
    server {{ listen 127.0.0.1:{nginx_proxy}; location / {{ proxy_pass http://127.0.0.1:{node_url}/; }} }}
}}
"""

APACHE = """
ServerRoot /usr/lib/apache2
ServerName localhost
PidFile {folder}/apache.pid
ErrorLog /dev/stderr
LogLevel crit
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule dir_module modules/mod_dir.so
Mutex file:{folder}
User {user}
Group {group}
DocumentRoot {root}
DirectoryIndex index.html
DirectorySlash Off
<Directory {root}>
    Require all granted
</Directory>
Listen 127.0.0.1:{apache}
Listen 127.0.0.1:{apache_decode}
Listen 127.0.0.1:{apache_nodecode}
<VirtualHost 127.0.0.1:{apache_decode}>
    AllowEncodedSlashes On
    MergeSlashes Off
</VirtualHost>
<VirtualHost 127.0.0.1:{apache_nodecode}>
    AllowEncodedSlashes NoDecode
</VirtualHost>
"""

LIGHTTPD = """
server.modules = ()
server.document-root = "{root}"
server.bind = "127.0.0.1"
server.port = {port}
index-file.names = ( "index.html" )
# What follows a file's name would be passed to it: no other reading of the path, but the file's own affair.
static-file.disable-pathinfo = "enable"
{more}
"""
UNNORMALIZED = 'server.http-parseopts = ( "url-normalize" => "disable", "url-ctrls-reject" => "disable" )'

TOMCAT = """<Server port="-1"><Service name="s">
{connectors}
<Engine name="e" defaultHost="localhost"><Host name="localhost" appBase="{folder}/none" autoDeploy="false">
<Context path="" docBase="{root}" /></Host></Engine></Service></Server>
"""
CONNECTORS = {
    "tomcat": "",
    "tomcat_decode": 'encodedSolidusHandling="decode" encodedReverseSolidusHandling="decode" allowBackslash="true"',
    "tomcat_pass": 'encodedSolidusHandling="passthrough" encodedReverseSolidusHandling="passthrough"',
}
WEB_XML = """<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
<servlet><servlet-name>default</servlet-name><servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class></servlet>
<servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
<welcome-file-list><welcome-file>index.html</welcome-file></welcome-file-list></web-app>
"""

NODE = ["url", "url-raw", "legacy", "plain", "twice", "segments", "raw"]
STANDARD = ["nginx", "apache", "lighttpd", "node_url", "node_plain", "tomcat"]  # as they are without being asked
NAMES = [
    "nginx", "nginx_unmerged", "nginx_proxy", "apache", "apache_decode", "apache_nodecode", "lighttpd", "lighttpd_raw",
    *CONNECTORS, *(f"node_{name.replace('-', '_')}" for name in NODE),
]  # fmt: skip


class Asker:
    """One client of one server. Keeps its connection while the server does: most of the time is spent connecting."""

    LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")

    def __init__(self, port):
        self.port, self.sock = port, None

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None

    def _exchange(self, target):
        if not self.sock:
            self.sock = socket.create_connection(("127.0.0.1", self.port), 20)
        self.sock.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = b""
        while b"\r\n\r\n" not in data:
            got = self.sock.recv(1 << 16)
            if not got:
                return data, b""
            data += got
        head, _, body = data.partition(b"\r\n\r\n")
        length = self.LENGTH.search(head)
        if not length or b"onnection: close" in head:
            self.sock.shutdown(socket.SHUT_WR)
            while got := self.sock.recv(1 << 16):
                body += got
            self.close()
            return head, body
        while len(body) < int(length.group(1)):
            body += self.sock.recv(1 << 16)
        return head, body

    def ask(self, target):
        """The resource that the server takes the target for; None: it serves none."""
        is_kept = self.sock is not None
        try:
            head, body = self._exchange(target)
        except (ConnectionResetError, BrokenPipeError):
            head = body = b""
        if not head:
            self.close()
            if is_kept:
                return self.ask(target)  # it may have closed what idled
        if not head.startswith(b"HTTP/1.1 200 ") or MARK.encode() not in body:
            return None
        return body.decode().split(MARK, 1)[1].split("\n", 1)[0]


class WebServers:
    def __init__(self, folder, resources):
        """resources: paths of files; "/x/" is the index of a folder."""
        self.folder, self.root = folder, folder / "root"
        for resource in resources:
            path = self.root / (resource + "index.html" if resource.endswith("/") else resource).lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{MARK}{resource}\n")
        for place in (folder, *self.root.rglob("*"), self.root):
            place.chmod(0o755 if place.is_dir() else 0o644)
        self.ports = {name: free_port() for name in NAMES}
        self.processes = []
        self._start_node()
        self._start_nginx()
        self._start_apache()
        self._start_lighttpd("lighttpd", "")
        self._start_lighttpd("lighttpd_raw", UNNORMALIZED)
        self._start_tomcat()
        for name in NAMES:
            wait_until(lambda: self._is_up(self.ports[name]), 60, f"{name} is up")
        plain = [resource.encode() for resource in resources]
        for name, served in self.ask_all(plain).items():
            assert served == resources, f"{name} does not serve what is there: {served}"

    @staticmethod
    def _is_up(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def _run(self, *command, env=None):
        env = {"PATH": os.environ["PATH"], **(env or {})}
        self.processes.append(Process(command, env=env, cwd=HERE))

    def _write(self, name, text, **more):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(folder=self.folder, root=self.root, **self.ports, **more))
        return path

    def _start_node(self):
        ports = {name: self.ports[f"node_{name.replace('-', '_')}"] for name in NODE}
        self._run("node", "path-servers.mjs", env={"ROOT": str(self.root), "PORTS": json.dumps(ports)})

    def _start_nginx(self):
        config = self._write("nginx.conf", NGINX)
        self._run(shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-p", self.folder, "-c", config)

    def _start_apache(self):
        config = self._write("apache.conf", APACHE, user=f"#{os.getuid()}" if os.getuid() else "www-data",
                             group=f"#{os.getgid()}" if os.getgid() else "www-data")  # fmt: skip
        self._run("/usr/sbin/apache2", "-f", config, "-D", "FOREGROUND")

    def _start_lighttpd(self, name, more):
        config = self._write(f"{name}.conf", LIGHTTPD, port=self.ports[name], more=more)
        self._run("/usr/sbin/lighttpd", "-D", "-f", config)

    def _start_tomcat(self):
        connectors = "".join(
            f'<Connector port="{self.ports[name]}" address="127.0.0.1" maxThreads="4" {more} />\n' for name, more in CONNECTORS.items()
        )
        self._write("conf/server.xml", TOMCAT, connectors=connectors)
        (self.folder / "conf/web.xml").write_text(WEB_XML)
        home = "/usr/share/tomcat10"
        self._run(
            "java", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", f"{home}/bin/bootstrap.jar:{home}/bin/tomcat-juli.jar",
            f"-Dcatalina.home={home}", f"-Dcatalina.base={self.folder}", f"-Djava.io.tmpdir={self.folder}",
            "org.apache.catalina.startup.Bootstrap", "start",
        )  # fmt: skip

    def ask_all(self, targets, names=NAMES):
        """{name: [resource or None, in the order of the targets]}."""

        def ask_one(name):
            with contextlib.closing(Asker(self.ports[name])) as asker:
                return [asker.ask(target) for target in targets]

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return dict(zip(names, pool.map(ask_one, names)))

    def stop(self):
        for process in self.processes:
            process.stop()
