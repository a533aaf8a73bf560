# SPDX-License-Identifier: MIT
"""A certification authority for one test session, made with openssl: servers named localhost and 127.0.0.1, a client,
and a second authority that nobody should trust."""
import datetime
import subprocess

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
# What strict verifiers (Python from 3.13 on) ask for
LEAF = "basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
NAMES = "subjectAltName=DNS:localhost,DNS:api.example.test,IP:127.0.0.1"


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Certs:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.ca = self._authority("ca")
        self.other_ca = self._authority("other-ca")
        self.server = self._leaf("server", "localhost", NAMES)
        self.wrong_name = self._leaf("wrong-name", "elsewhere", "subjectAltName=DNS:elsewhere.example.test")
        self.client = self._leaf("client", "bearerd-client", "extendedKeyUsage=clientAuth")

    def key_of(self, certificate):
        return certificate.with_suffix(".key")

    def _authority(self, name):
        crt, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        openssl("req", "-x509", *KEY, *usage, "-days", 2, "-subj", f"/CN={name}", "-keyout", key, "-out", crt)
        return crt

    def _leaf(self, name, common_name, extension):
        crt, key, csr = (self.folder / f"{name}.{kind}" for kind in ("crt", "key", "csr"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"{extension}\n{LEAF}")
        openssl("req", *KEY, "-subj", f"/CN={common_name}", "-keyout", key, "-out", csr)
        openssl(
            "x509",
            "-req",
            "-in",
            csr,
            "-days",
            2,
            "-CAcreateserial",
            "-out",
            crt,
            "-extfile",
            extensions,
            "-CA",
            self.ca,
            "-CAkey",
            self.key_of(self.ca),
        )
        return crt

    def expired(self):
        """A server's certificate that was good until yesterday; only `openssl ca` dates back."""
        crt = self.folder / "expired.crt"
        if crt.exists():
            return crt
        csr, config = crt.with_suffix(".csr"), crt.with_suffix(".cnf")
        config.write_text(
            f"[ca]\ndefault_ca = d\n[d]\ndatabase = {self.folder}/ca.index\nserial = {self.folder}/ca.serial\n"
            f"new_certs_dir = {self.folder}\ndefault_md = sha256\npolicy = p\nx509_extensions = e\n"
            f"[p]\ncommonName = supplied\n[e]\n{NAMES}\n{LEAF}\n"
        )
        (self.folder / "ca.index").touch()
        (self.folder / "ca.serial").write_text("4D\n")
        openssl("req", "-new", *KEY, "-subj", "/CN=localhost", "-keyout", self.key_of(crt), "-out", csr)
        day = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        dates = ["-startdate", f"{day - datetime.timedelta(days=1):%Y%m%d%H%M%SZ}", "-enddate", f"{day:%Y%m%d%H%M%SZ}"]
        signer = ["-cert", self.ca, "-keyfile", self.key_of(self.ca)]
        openssl("ca", "-batch", "-notext", "-config", config, *signer, *dates, "-in", csr, "-out", crt)
        return crt
