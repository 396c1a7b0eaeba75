#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""100,000 faces on Debian 13's PostgreSQL with pgvector. Only with SPHERE_SLOW_TESTS=1; debian13_root.py says how a
root is kept."""
import os
import subprocess
import unittest

import system_support as support
from debian13_root import Debian13Root

TEST = os.path.join(support.BUILD, "tests", "conformance", "test_pgvector_large")
PORT = str(support.free_port())
BIN = "/usr/lib/postgresql/17/bin"
OPTIONS = (f"-p {PORT} -k /tmp -c listen_addresses=127.0.0.1 -c fsync=off -c dynamic_shared_memory_type=mmap "
           "-c shared_buffers=512MB -c maintenance_work_mem=512MB")


class PgvectorLarge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(TEST):
            raise unittest.SkipTest("built without PostgreSQL (libpq)")
        cls.root = Debian13Root.of(cls)
        cls.root.install(["postgresql-17-pgvector"])
        # A root that is kept may have the last run's.
        made = cls.root.run("rm -rf /srv/pg && install -d -o postgres -g postgres /srv/pg")
        if made.returncode != 0:
            raise AssertionError(made.stdout)
        cls.server("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", "/srv/pg/data")
        cls.server("pg_ctl", "-w", "-t", "60", "-D", "/srv/pg/data", "-l", "/srv/pg/log", "-o", OPTIONS, "start")
        cls.addClassCleanup(cls.server, "pg_ctl", "-m", "immediate", "-D", "/srv/pg/data", "stop")
        cls.server("createdb", "-h", "127.0.0.1", "-p", PORT, "-U", "postgres", "faces")
        cls.server("psql", "-h", "127.0.0.1", "-p", PORT, "-U", "postgres", "-c", "CREATE EXTENSION vector", "faces")

    @classmethod
    def server(cls, program, *arguments):
        # Output goes nowhere: the server that pg_ctl leaves behind would hold a pipe open.
        done = subprocess.run(cls.root.command(f"{BIN}/{program}", *arguments, user="postgres"), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=900)
        if done.returncode != 0:
            log = cls.root.run("tail -n 40 /srv/pg/log").stdout
            raise AssertionError(f"{program} ended with {done.returncode}; the server's log ends:\n{log}")

    def test_recall(self):
        done = subprocess.run([TEST], env=dict(os.environ, SPHERE_PGVECTOR_URI=f"postgresql://postgres@127.0.0.1:{PORT}/faces"),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=6000)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("recall@10", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
