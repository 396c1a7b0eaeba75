#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""100,000 faces on Debian 13's PostgreSQL with pgvector, in a root made by debootstrap. Only with SPHERE_SLOW_TESTS=1."""
import os
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ.get("SPHERE_BUILD_ROOT", "")
TEST = os.path.join(BUILD, "tests", "conformance", "test_pgvector_large")
PORT = str(30000 + os.getpid() % 10000)
BIN = "/usr/lib/postgresql/17/bin"
OPTIONS = (f"-p {PORT} -k /tmp -c listen_addresses=127.0.0.1 -c fsync=off -c dynamic_shared_memory_type=mmap "
           "-c shared_buffers=512MB -c maintenance_work_mem=512MB")


class PgvectorLarge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.environ.get("SPHERE_SLOW_TESTS") != "1":
            raise unittest.SkipTest("takes a quarter of an hour: set SPHERE_SLOW_TESTS=1")
        if not os.path.exists(TEST):
            raise unittest.SkipTest("built without PostgreSQL (libpq)")
        if os.geteuid() != 0 or not shutil.which("debootstrap"):
            raise unittest.SkipTest("needs root and debootstrap")
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = os.path.join(cls.folder.name, "root")
        os.chmod(cls.folder.name, 0o755)
        made = cls.run_quietly("debootstrap", "--variant=minbase", "trixie", cls.root)
        if made.returncode != 0:
            raise unittest.SkipTest("debootstrap cannot make a Debian 13 root here: " + made.stdout[-200:])
        with open(os.path.join(cls.root, "usr/sbin/policy-rc.d"), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(file.name, 0o755)
        done = cls.run_quietly("chroot", cls.root, "sh", "-c",
                               "export DEBIAN_FRONTEND=noninteractive; apt-get update -q && apt-get install -y -q "
                               "--no-install-recommends postgresql-17-pgvector && install -d -o postgres /srv/pg")
        if done.returncode != 0:
            raise unittest.SkipTest("Debian 13's postgresql-17-pgvector cannot be had: " + done.stdout[-200:])
        cls.server("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", "/srv/pg/data")
        cls.server("pg_ctl", "-w", "-t", "60", "-D", "/srv/pg/data", "-l", "/srv/pg/log", "-o", OPTIONS, "start")
        cls.addClassCleanup(cls.server, "pg_ctl", "-m", "immediate", "-D", "/srv/pg/data", "stop")
        cls.server("createdb", "-h", "127.0.0.1", "-p", PORT, "-U", "postgres", "faces")
        cls.server("psql", "-h", "127.0.0.1", "-p", PORT, "-U", "postgres", "-c", "CREATE EXTENSION vector", "faces")

    @staticmethod
    def run_quietly(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=1200)

    @classmethod
    def server(cls, program, *arguments):
        subprocess.run(["chroot", "--userspec=postgres:postgres", cls.root, "env", "-i", "LANG=C", f"PATH={BIN}:/usr/bin:/bin",
                        program, *arguments], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       timeout=300)

    def test_recall(self):
        done = subprocess.run([TEST], env=dict(os.environ, SPHERE_PGVECTOR_URI=f"postgresql://postgres@127.0.0.1:{PORT}/faces"),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=6000)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("recall@10", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
