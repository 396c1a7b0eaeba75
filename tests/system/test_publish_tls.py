#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherepublish by TLS to a webhook and to Kafka (its mock cluster behind a proxy): the right authority and name, and
both wrong; certificates of our own; a token that shows nowhere; files that are none."""

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import system_support as support

# Waits for what must happen, on machines that are busy with other things as well.
PATIENCE_S = 90
TOKEN = "correct-horse-battery"
ROAD = ("videotestsrc is-live=true num-buffers={} ! video/x-raw,width=96,height=96,framerate=30/1 "
        "! spheredetect model=fake-detect ! spherepublish stream=cam spill-max-bytes=0 location={} {} ! fakesink")


def wait_for_port(port):
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not start")


class TlsTest(support.FolderTest):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        if shutil.which("openssl") is None:
            raise unittest.SkipTest("no openssl here")
        with open(os.path.join(support.BUILD, "build.ninja"), encoding="utf-8") as ninja:
            cls.ninja = ninja.read()
        made = tempfile.TemporaryDirectory()
        cls.addClassCleanup(made.cleanup)
        cls.made = made.name
        os.mkdir(cls.pem("other"))
        for folder in (cls.made, cls.pem("other")):
            support.make_certificates(folder)

    @classmethod
    def pem(cls, name):
        return os.path.join(cls.made, name)

    def need(self, part):
        if f".p/publish_{part}_destination_stub" in self.ninja:
            self.skipTest(f"built without {part} (enable with -D{part}=enabled)")

    def serve(self, script, *arguments):
        """A server of tests/support on a port of its own, which is returned."""
        port = support.free_port()
        with open(self.path("server.log"), "ab") as log:
            server = subprocess.Popen(["/usr/bin/python3", os.path.join(support.ROOT, "tests", "support", script),
                                       str(port), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        wait_for_port(port)
        return port

    def publish(self, frames, location, options, **env):
        """What gst-launch says."""
        return self.launch(ROAD.format(frames, location, options), no_proxy="127.0.0.1", **env).communicate()[0]

    def publish_until_away(self, location, options):
        """What gst-launch says of a stream that ends when its records are not delivered."""
        process = self.launch(ROAD.format(-1, location, options + " drain-timeout=0"), no_proxy="127.0.0.1")
        timer = threading.Timer(PATIENCE_S, process.kill)
        timer.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Records are not delivered" in line:
                break
        process.send_signal(signal.SIGINT)
        lines.append(process.communicate()[0])
        timer.cancel()
        return "".join(lines)

    def ours(self, name):
        return f"ca-file={self.pem('ca.pem')} cert-file={self.pem(name + '.pem')} key-file={self.pem(name + '.key')}"

    def check_files(self, location):
        """Files that are none are refused at the start, by the property's name."""
        garbage = self.write("garbage", "no certificate\n")
        pipe = self.path("pipe")
        os.mkfifo(pipe)
        for options, word in ((f"ca-file={self.path('absent')}", "ca-file"), (f"ca-file={garbage}", "ca-file"),
                              (f"ca-file={self.folder}", "ca-file"), (f"ca-file={pipe}", "ca-file"), (f"cert-file={garbage}", "cert-file"),
                              (f"key-file={garbage}", "key-file"), (f"key-file={self.pem('server.key')}", "cert-file")):
            with self.subTest(options):
                said = self.publish(20, location, options + " drain-timeout=0")
                self.assertIn(word, said)
                self.assertIn("ERROR", said)

    def torn(self):
        """Looks like a certificate from outside."""
        return self.write("torn", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


class WebhookTest(TlsTest):
    def webhook(self, certificate, *authority):
        port = self.serve("webhook_server.py", self.path("bodies"), TOKEN, self.pem(certificate + ".pem"),
                          self.pem(certificate + ".key"), *authority)
        return f"https://127.0.0.1:{port}/hook"

    def setUp(self):
        super().setUp()
        self.need("webhook")
        self.credentials = "credentials-file=" + self.write("credentials", f"token={TOKEN}\n")

    def test_records_arrive_and_the_token_shows_nowhere(self):
        location = self.webhook("server", self.pem("ca.pem"))
        os.mkdir(self.path("dots"))
        said = self.publish(30, location, f"{self.ours('client')} {self.credentials} drain-timeout=10000", GST_DEBUG="*:6",
                            GST_DEBUG_FILE=self.path("log"), GST_DEBUG_DUMP_DOT_DIR=self.path("dots"))
        self.assertEqual(len(support.read_records(self.path("bodies"))), 30, said)
        dots = glob.glob(os.path.join(self.path("dots"), "*.dot"))
        self.assertGreater(len(dots), 0)
        for path in [self.path("log"), *dots]:
            with open(path, encoding="utf-8", errors="replace") as text:
                self.assertNotIn(TOKEN, text.read())
        self.assertNotIn(TOKEN, said)

    def check_refused(self, location, options, *words):
        said = self.publish_until_away(location, f"{options} {self.credentials}")
        self.assertIn("Records are not delivered", said)
        for word in words:
            self.assertIn(word, said)
        self.assertNotIn(TOKEN, said)
        self.assertFalse(os.path.exists(self.path("bodies")))

    def test_a_server_that_another_authority_vouches_for_is_refused(self):
        location = self.webhook("server")
        self.check_refused(location, f"ca-file={self.pem('other/ca.pem')}", "certificate", "ca-file")
        self.check_refused(location, "", "certificate", "ca-file")  # the system's authorities

    def test_a_server_of_another_name_is_refused(self):
        self.check_refused(self.webhook("elsewhere"), f"ca-file={self.pem('ca.pem')}", "subject name", "location")

    def test_a_server_that_wants_our_certificate(self):
        self.check_refused(self.webhook("server", self.pem("ca.pem")), f"ca-file={self.pem('ca.pem')}")

    def test_files_that_are_none(self):
        self.check_refused(self.webhook("server"), f"ca-file={self.torn()}", "ca-file")
        self.check_files("https://127.0.0.1:1/hook")
        self.assertIn("https://", self.publish(1, "http://127.0.0.1:1/hook", f"ca-file={self.pem('ca.pem')}"))


class KafkaTest(TlsTest):
    def setUp(self):
        super().setUp()
        self.need("kafka")
        mock = os.path.join(support.BUILD, "tests", "conformance", "kafka_mock")
        cluster = subprocess.Popen([mock, "faces", self.path("lines")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(cluster.wait)
        self.addCleanup(cluster.stdout.close)
        self.addCleanup(cluster.stdin.close)
        self.cluster_port = cluster.stdout.readline().strip().rpartition(":")[2]

    def kafka(self, certificate, *authority):
        port = self.serve("kafka_tls_proxy.py", self.cluster_port, self.pem(certificate + ".pem"),
                          self.pem(certificate + ".key"), *authority)
        return f"kafkas://127.0.0.1:{port}/faces"

    def test_records_arrive(self):
        location = self.kafka("server", self.pem("ca.pem"))
        said = self.publish(30, location, f"{self.ours('client')} drain-timeout=20000")
        self.assertNotIn("not delivered", said)
        lines = []
        for _ in range(400):  # the mock's own reader writes them
            with open(self.path("lines"), encoding="utf-8") as file:
                lines = file.readlines()
            if len(lines) >= 30:
                break
            time.sleep(0.05)
        self.assertEqual(len(lines), 30, said)

    def check_refused(self, location, options, *words):
        said = self.publish_until_away(location, options)
        self.assertIn("Records are not delivered", said)
        for word in words:
            self.assertIn(word, said)
        self.assertEqual(os.path.getsize(self.path("lines")), 0)

    def test_a_cluster_that_another_authority_vouches_for_is_refused(self):
        self.check_refused(self.kafka("server"), f"ca-file={self.pem('other/ca.pem')}", "certificate", "ca-file")

    def test_a_cluster_of_another_name_is_refused(self):
        self.check_refused(self.kafka("elsewhere"), f"ca-file={self.pem('ca.pem')}", "certificate", "location")

    def test_files_that_are_none(self):
        self.check_files(f"kafkas://127.0.0.1:{support.free_port()}/faces")
        # They reach the library: what is torn, and a key of another certificate, is its to find.
        for options in (f"ca-file={self.torn()}", f"cert-file={self.pem('server.pem')} key-file={self.pem('client.key')}"):
            said = self.publish(1, f"kafkas://127.0.0.1:{support.free_port()}/faces", options)
            self.assertIn("key-file", said)
            self.assertIn("ERROR", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
