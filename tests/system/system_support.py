# SPDX-License-Identifier: MIT
"""What the system tests share: where things are, programs run to their end, skips with a reason."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest

ROOT = os.environ.get("SPHERE_SOURCE_ROOT") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("SPHERE_BUILD_ROOT") or os.path.join(ROOT, "build-tests")
DATA = os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared")
VIDEOS = os.path.join(DATA, "data", "videos")
PHOTOS = os.path.join(DATA, "data", "photos")
ANNOTATE = os.path.join(ROOT, "pipelines", "annotate.sh")

FAKE_MODELS = ["--detect-model", "fake-detect", "--embed-model", "fake-embed"]


def run(command, timeout_s=120, cwd=None, check=True, env=None):
    """Runs to the end; a failure shows what the program said."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            stdin=subprocess.DEVNULL, timeout=timeout_s, cwd=cwd, env=env)
    if check and result.returncode != 0:
        raise AssertionError(f"{command} ended with {result.returncode}:\n{result.stdout[-4000:]}")
    return result


def need_data():
    """For setUpClass: skips where the test data is absent."""
    if not os.path.isdir(VIDEOS):
        raise unittest.SkipTest(f"no test data at {DATA} (set SPHERE_TEST_DATA)")


def need_plugin():
    """For setUpClass: skips a build without GStreamer or the command line."""
    if shutil.which("gst-launch-1.0") is None:
        raise unittest.SkipTest("built without the plugin: no gst-launch-1.0")
    if not os.path.exists(os.path.join(BUILD, "gst", "libgstsphere.so")):
        raise unittest.SkipTest("built without the plugin (enable with -Dgst=enabled)")


def free_port():
    """A port of the loopback that nobody listens at just now."""
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        return probe_socket.getsockname()[1]


def installed_models():
    listing = json.loads(run(["spherectl", "models", "list", "--json"]).stdout)
    return {model["name"] for model in listing["models"] if model["installed"]}


def need_models(*names):
    missing = set(names) - installed_models()
    if missing:
        raise unittest.SkipTest(f"models not fetched: {', '.join(sorted(missing))} "
                                "(spherectl models fetch)")


def make_picture(path):
    """A picture that the fake detector finds its face in."""
    run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=size=320x240", "-frames:v", "1",
         path])


def fake_gallery(directory):
    """A gallery of one person, for the fake models."""
    gallery = os.path.join(directory, "fake.db")
    picture = os.path.join(directory, "picture.png")
    make_picture(picture)
    run(["spherectl", "enrol", "--detector", "fake-detect", "--model", "fake-embed", "--gallery",
         gallery, "--id", "somebody", picture])
    return gallery


def probe(path, entries, *options):
    """ffprobe's JSON of the first video stream."""
    result = run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "json", *options,
                  "-show_entries", entries, path], timeout_s=300)
    return json.loads(result.stdout)


def read_records(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def leaked_objects(log):
    """Lines of GStreamer's leaks tracer (GST_DEBUG=GST_TRACER:7) that name an object still alive."""
    return [line for line in log.splitlines()
            if "object-alive, type-name=(string)" in line and "format string" not in line]


def make_certificates(folder):
    """An authority (ca.pem) and its certificates: server (127.0.0.1, localhost), client, elsewhere (another host)."""
    def openssl(*arguments):
        run(["openssl", *arguments], cwd=folder)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem")
    for name, host in (("server", "IP:127.0.0.1,DNS:localhost"), ("client", "DNS:client"),
                       ("elsewhere", "DNS:elsewhere.example")):
        with open(os.path.join(folder, "names"), "w", encoding="utf-8") as names:
            names.write(f"subjectAltName={host}\n")
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "names", "-out", f"{name}.pem")


class FolderTest(unittest.TestCase):
    """A folder of its own a test, and pipelines that run beside it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.environ["XDG_STATE_HOME"] = self.path("state")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def launch(self, road, **env):
        process = subprocess.Popen(["gst-launch-1.0", *road.split()], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env=dict(os.environ, **env))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process
