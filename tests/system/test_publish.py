#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherepublish and real servers on loopback: a broker that goes away under a running stream, TLS, status and last
will, Home Assistant's discovery, tokens, and passwords that show nowhere.

SPHERE_BROKER_AWAY_S is how long the broker is away (3 s; 60 for the long form).
"""

import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

import system_support as support  # noqa: E402

AWAY_S = float(os.environ.get("SPHERE_BROKER_AWAY_S", "3"))
FPS = 30
PASSWORD = "correct-horse-battery"
SOURCE = (f"videotestsrc is-live=true num-buffers={{}} ! video/x-raw,width=96,height=96,framerate={FPS}/1 "
          "! spheredetect model=fake-detect")
# With this the track leaves in each frame that was not detected: an event a frame.
EVENTS = "inference-interval=2 ! spheretrack ! spherepublish name=publish mode=events presence-timeout=10 stream=cam"


def wait_for(condition, timeout_s=30):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Broker:
    """mosquitto in a folder of its own."""

    def __init__(self, folder, config=""):
        self.folder, self.port, self.process = folder, support.free_port(), None
        with open(os.path.join(folder, "mosquitto.conf"), "w", encoding="utf-8") as out:
            out.write(f"listener {self.port} 127.0.0.1\npersistence true\npersistence_location {folder}/\n"
                      "max_queued_messages 0\n")
            if os.geteuid() == 0:
                out.write("user root\n")
            out.write(config or "allow_anonymous true\n")

    def start(self):
        with open(os.path.join(self.folder, "broker.log"), "ab") as log:
            self.process = subprocess.Popen(["mosquitto", "-c", os.path.join(self.folder, "mosquitto.conf")],
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        assert wait_for(lambda: answers(self.port)), "mosquitto does not start"

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def location(self, topic="door"):
        return f"mqtt://127.0.0.1:{self.port}/{topic}"

    def read(self, topic, count, *options, timeout_s=20):
        """The first messages, retained ones too: "TOPIC PAYLOAD" a line."""
        result = subprocess.run(["mosquitto_sub", "-p", str(self.port), "-t", topic, "-v", "-C", str(count),
                                 "-W", str(timeout_s), *options], capture_output=True, text=True, check=False)
        return result.stdout.splitlines()


class PublishTest(support.FolderTest):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        os.environ["PATH"] += ":/usr/sbin"
        if not shutil.which("mosquitto") or not shutil.which("mosquitto_sub"):
            raise unittest.SkipTest("no mosquitto and mosquitto-clients here")
        with open(os.path.join(support.BUILD, "build.ninja"), encoding="utf-8") as ninja:
            if ".p/publish_mqtt_destination_stub" in ninja.read():
                raise unittest.SkipTest("built without MQTT (enable with -Dmqtt=enabled)")
        Gst.init(None)

    def broker(self, config=""):
        broker = Broker(self.folder, config)
        broker.start()
        self.addCleanup(broker.stop)
        return broker


class BrokerAwayTest(PublishTest):
    def test_every_event_arrives_once_and_in_order(self):
        broker = self.broker()
        lines = self.path("lines")
        with open(lines, "wb") as out:
            reader = subprocess.Popen(["mosquitto_sub", "-p", str(broker.port), "-c", "-i", "reader", "-q", "2",
                                       "-t", "door"], stdout=out)
        self.addCleanup(reader.wait)
        self.addCleanup(reader.terminate)
        time.sleep(1)
        frames = int((AWAY_S + 2) * FPS)
        pipeline = Gst.parse_launch(f"{SOURCE.format(frames)} {EVENTS} location={broker.location()} "
                                    "drain-timeout=20000 ! fakesink sync=true")
        publish, bus = pipeline.get_by_name("publish"), pipeline.get_bus()
        begin = time.monotonic()
        pipeline.set_state(Gst.State.PLAYING)
        time.sleep(1)
        broker.stop()
        time.sleep(AWAY_S)
        passed = publish.get_property("stats").get_uint64("frames")[1]
        seconds = time.monotonic() - begin
        broker.start()
        told, ended = [], None
        while ended is None:
            message = bus.timed_pop_filtered(60 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR
                                             | Gst.MessageType.WARNING | Gst.MessageType.INFO)
            self.assertIsNotNone(message, "the stream does not end")
            if message.type == Gst.MessageType.WARNING:
                told.append("lost")
            elif message.type == Gst.MessageType.INFO:
                told.append("found")
            else:
                ended = message.type
        self.assertEqual(ended, Gst.MessageType.EOS)
        stats = publish.get_property("stats")
        pipeline.set_state(Gst.State.NULL)
        self.assertEqual(stats.get_uint64("frames")[1], frames)
        self.assertEqual(stats.get_uint64("dropped")[1], 0)
        self.assertGreater(stats.get_uint64("spilled")[1], 0)
        count = frames  # one a frame, and who is there at the end leaves
        def arrived():
            """By sequence, in the order of arrival: what came again has the number that it had."""
            return list({record["sequence"]: record for record in support.read_records(lines)}.values())
        wait_for(lambda: len(arrived()) >= count)
        time.sleep(0.5)
        records = arrived()
        again = len(support.read_records(lines)) - len(records)
        print(f"broker away {AWAY_S:.0f} s: {passed} frames in {seconds:.2f} s before it came back "
              f"({passed / seconds:.2f} a second), {len(records)} of {count} events, {again} twice, spilled "
              f"{stats.get_uint64('spilled')[1]}, told {told}")
        self.assertEqual(len(records), count)
        self.assertLessEqual(again, 20)  # at most what was unconfirmed when the broker went
        sequences = [record["sequence"] for record in records]
        self.assertEqual(sequences, list(range(sequences[0], sequences[0] + len(sequences))))
        self.assertEqual([record["event"] for record in records if record["pts"] is not None],
                         ["appeared", "left"] * (frames // 2))
        times = [record["pts"] for record in records if record["pts"] is not None]
        self.assertEqual(times, sorted(times))
        self.assertEqual(told[:1], ["lost"])
        self.assertLessEqual(len(told), 2)  # the second comes with the records, perhaps after EOS


class ForgetfulBroker(threading.Thread):
    """A broker as far as spherepublish needs one, which vanishes when it is to pass its first record of QoS 2 on, and
    knows nothing of it when it is back. MQTT 3.1.1."""

    CONNECT, PUBLISH, PUBREL, PINGREQ = 1, 3, 6, 12

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections, self.passed_on = 0, []

    def run(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            taken = {}
            with client, client.makefile("rb") as stream:
                while self.obey(client, stream, taken):
                    pass

    def obey(self, client, stream, taken):
        """False where the connection ends."""
        head = stream.read(1)
        if not head:
            return False
        length, shift = 0, 0
        while True:
            byte = stream.read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        kind, qos, body = head[0] >> 4, head[0] >> 1 & 3, stream.read(length)
        if kind == self.CONNECT:
            client.sendall(b"\x20\x02\x00\x00")  # accepted, no session here
        elif kind == self.PUBLISH and qos > 0:
            end = 2 + int.from_bytes(body[:2], "big")
            if qos == 2:
                taken[body[end:end + 2]] = body[end + 2:]
            client.sendall((b"\x50\x02" if qos == 2 else b"\x40\x02") + body[end:end + 2])
        elif kind == self.PUBREL:
            if self.connections == 1:
                return False
            if body in taken:
                self.passed_on.append(json.loads(taken.pop(body)))
            client.sendall(b"\x70\x02" + body)  # also of what it does not know, as the standard wants it
        elif kind == self.PINGREQ:
            client.sendall(b"\xd0\x00")
        return True


class SessionTest(PublishTest):
    def test_what_a_broker_took_and_forgot_is_sent_again(self):
        for options in ("", "client-id=cam"):
            with self.subTest(options):
                broker = ForgetfulBroker()
                broker.start()
                self.addCleanup(broker.listener.close)
                said = self.launch(f"{SOURCE.format(20)} ! spherepublish location=mqtt://127.0.0.1:{broker.port}/door qos=2 "
                                   f"drain-timeout=30000 {options} ! fakesink").communicate()[0]
                self.assertGreater(broker.connections, 1, said)
                sequences = {record["sequence"] for record in broker.passed_on}
                self.assertEqual(len(sequences), 20, said)


class StatusTest(PublishTest):
    def test_status_and_last_will(self):
        broker = self.broker()
        road = f"{SOURCE.format(-1)} ! spherepublish location={broker.location()} ! fakesink"
        for ending in (signal.SIGINT, signal.SIGKILL):
            with self.subTest(ending):
                process = self.launch(road)
                self.assertEqual(broker.read("door", 1)[0].split()[0], "door")
                self.assertEqual(broker.read("door/status", 1), ["door/status online"])
                process.send_signal(ending)
                process.communicate()
                self.assertTrue(wait_for(
                    lambda: broker.read("door/status", 1) == ["door/status offline"], 10))

    def test_home_assistant_discovery(self):
        broker = self.broker()
        found, known = {}, {}
        for mode, count in (("events", 3), ("frames", 4)):
            process = self.launch(f"{SOURCE.format(20)} ! spherepublish location={broker.location('home/door')} "
                                  f"mode={mode} stream=Door home-assistant=true ! fakesink")
            process.communicate()
            for line in broker.read("homeassistant/#", count):
                topic, _, payload = line.partition(" ")
                found[topic] = json.loads(payload)
            known[mode] = found["homeassistant/binary_sensor/sphere_home_door/known/config"]
        self.assertEqual(sorted(found), ["homeassistant/binary_sensor/sphere_home_door/known/config",
                                         "homeassistant/event/sphere_home_door/face/config",
                                         "homeassistant/sensor/sphere_home_door/faces/config",
                                         "homeassistant/sensor/sphere_home_door/person/config"])
        for config in [*found.values(), *known.values()]:
            self.assertEqual(config["state_topic"], "home/door")
            self.assertEqual(config["availability_topic"], "home/door/status")
            self.assertEqual(config["device"]["name"], "Door")
            self.assertEqual(config["device"]["identifiers"], ["sphere_home_door"])
            self.assertIn("value_json", config["value_template"])
        self.assertEqual(found["homeassistant/event/sphere_home_door/face/config"]["event_types"],
                         ["appeared", "identified", "renamed", "left"])
        self.assertEqual(len({config["unique_id"] for config in found.values()}), 4)
        self.check_known({mode: config["value_template"] for mode, config in known.items()})

    def check_known(self, templates):
        """The sensor's templates, as Home Assistant renders them (Jinja2), of records of somebody known."""
        try:
            import jinja2
        except ImportError:
            self.skipTest("no python3-jinja2 here")
        gallery = support.fake_gallery(self.folder)
        states = {}
        for mode, template in templates.items():
            road = (f"filesrc location={self.path('picture.png')} ! pngdec ! imagefreeze num-buffers=3 ! videoconvert ! "
                    "spheredetect model=fake-detect ! spheretrack ! spherealign ! sphereembed model=fake-embed ! ")
            for match in (f"spherematch gallery={gallery} ! ", ""):
                said = self.launch(f"{road}{match}spherepublish mode={mode} location={self.path('records')} ! "
                                   "fakesink").communicate()[0]
                self.assertNotIn("ERROR", said)
                states[mode, bool(match)] = [
                    jinja2.Environment().from_string(template).render(value_json=record)
                    for record in support.read_records(self.path("records"))]
        self.assertEqual(states["events", True], ["ON", "ON", "OFF"])  # appeared, identified, left
        self.assertEqual(set(states["events", False]), {"OFF"})
        self.assertEqual(states["frames", True], ["ON"] * 3)
        self.assertEqual(states["frames", False], ["OFF"] * 3)


class SecretsTest(PublishTest):
    def tls_broker(self):
        support.make_certificates(self.folder)
        self.write("passwords", f"camera:{PASSWORD}\n")
        support.run(["mosquitto_passwd", "-U", self.path("passwords")])
        return self.broker(f"cafile {self.path('ca.pem')}\ncertfile {self.path('server.pem')}\n"
                           f"keyfile {self.path('server.key')}\nrequire_certificate true\n"
                           f"allow_anonymous false\npassword_file {self.path('passwords')}\n")

    def test_tls_with_certificates_and_a_password_that_shows_nowhere(self):
        broker = self.tls_broker()
        credentials = self.write("credentials", f"username=camera\npassword={PASSWORD}\n")
        secure = f"mqtts://127.0.0.1:{broker.port}/door"
        tls = f"ca-file={self.path('ca.pem')} cert-file={self.path('client.pem')} key-file={self.path('client.key')}"
        os.mkdir(self.path("dots"))
        # Nobody is subscribed yet: the status is what stays.
        process = self.launch(f"{SOURCE.format(60)} ! spherepublish location={secure} {tls} "
                              f"credentials-file={credentials} ! fakesink",
                              GST_DEBUG="*:6", GST_DEBUG_FILE=self.path("log"),
                              GST_DEBUG_DUMP_DOT_DIR=self.path("dots"))
        reader = ["--cafile", self.path("ca.pem"), "--cert", self.path("client.pem"), "--key",
                  self.path("client.key"), "-u", "camera", "-P", PASSWORD]
        records = broker.read("door", 1, *reader)
        said = process.communicate()[0]
        self.assertEqual(process.returncode, 0, said[-2000:])
        self.assertIn('"schema":"sphere.frame/1"', records[0])
        with open(self.path("log"), encoding="utf-8", errors="replace") as text:
            log = text.read()
        self.assertIn("credentials-file", log)  # it is that of the whole start
        self.assertNotIn(PASSWORD, said + log)
        dots = glob.glob(os.path.join(self.path("dots"), "*.dot"))
        self.assertGreater(len(dots), 0)
        for dot in dots:
            with open(dot, encoding="utf-8") as text:
                self.assertNotIn(PASSWORD, text.read())

        for options, word in ((f"{tls}", "credentials-file"),  # not authorised
                              (f"credentials-file={credentials}", "127.0.0.1")):  # another authority
            said = self.launch(f"{SOURCE.format(40)} ! spherepublish location={secure} {options} "
                               "spill-max-bytes=0 drain-timeout=0 ! fakesink").communicate()[0]
            self.assertIn("Records are not delivered", said)
            self.assertIn(word, said)

    def test_credentials_that_others_may_read_are_refused(self):
        for mode, text, word in ((0o644, f"password={PASSWORD}\n", "chmod 600"),
                                 (0o600, f"passwort={PASSWORD}\n", "username=")):
            path = self.write("credentials", text, mode)
            process = self.launch(f"{SOURCE.format(1)} ! spherepublish location=mqtt://127.0.0.1/t "
                                  f"credentials-file={path} ! fakesink")
            said = process.communicate()[0]
            self.assertNotEqual(process.returncode, 0)
            self.assertIn(word, said)
            self.assertNotIn(PASSWORD, said)

    def test_a_webhook_wants_its_token(self):
        port = support.free_port()
        server = subprocess.Popen(["/usr/bin/python3", os.path.join(support.ROOT, "tests", "support",
                                                                    "webhook_server.py"),
                                   str(port), self.path("bodies"), PASSWORD], stdin=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.assertTrue(wait_for(lambda: answers(port)), "the receiver does not start")
        road = (f"{SOURCE.format(30)} ! spherepublish location=http://127.0.0.1:{port}/hook spill-max-bytes=0 "
                "drain-timeout=5000 {} ! fakesink")
        said = self.launch(road.format(""), no_proxy="127.0.0.1").communicate()[0]
        if "built without webhook" in said:
            self.skipTest("built without webhooks (enable with -Dwebhook=enabled)")
        self.assertIn("401", said)
        self.assertFalse(os.path.exists(self.path("bodies")))
        credentials = self.write("credentials", f"token={PASSWORD}\n")
        said = self.launch(road.format(f"credentials-file={credentials}"), no_proxy="127.0.0.1",
                           GST_DEBUG="*:6", GST_DEBUG_FILE=self.path("log")).communicate()[0]
        with open(self.path("log"), encoding="utf-8", errors="replace") as text:
            self.assertNotIn(PASSWORD, said + text.read())
        self.assertEqual(len(support.read_records(self.path("bodies"))), 30)
        with open(self.path("bodies.keys"), encoding="utf-8") as keys:
            self.assertEqual(len(set(keys.read().split())), 30)


if __name__ == "__main__":
    unittest.main(verbosity=2)
