#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The metadata from Python by introspection, and what the library exports."""
import math
import os
import re
import subprocess
import unittest

ROOT = os.environ["SPHERE_SOURCE_ROOT"]
BUILD = os.environ["SPHERE_BUILD_ROOT"]
LIBRARY = os.path.join(BUILD, "gst", "meta", "libgstspheremeta.so")
TYPELIB = os.path.join(BUILD, "gst", "meta", "GstSphere-1.0.typelib")

try:
    import gi
    gi.require_version("Gst", "1.0")
    gi.require_version("GstApp", "1.0")
    gi.require_version("GstVideo", "1.0")
    from gi.repository import Gst, GstApp, GstVideo  # noqa: F401 (GstApp: the sink's methods)
    MISSING = None if os.path.exists(TYPELIB) else "built without introspection (enable with -Dintrospection=enabled)"
except (ImportError, ValueError) as error:
    MISSING = f"PyGObject with GStreamer's typelibs is not installed: {error}"
if MISSING is None:  # a typelib that is there must load
    gi.require_version("GstSphere", "1.0")
    from gi.repository import GstSphere

STAMP = "m|s|p|t|none|2"


def public_functions():
    """Names of all functions that the public header declares."""
    path = os.path.join(ROOT, "gst/meta/include/gst/sphere/gstspheremeta.h")
    with open(path, encoding="utf-8") as header:
        text = re.sub(r"/\*.*?\*/", "", header.read(), flags=re.DOTALL)
    return set(re.findall(r"^GST_SPHERE_API\b[^;(]*?\b(gst_\w+)\s*\(", text, flags=re.MULTILINE))


def exported_functions():
    output = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], check=True, capture_output=True,
                            text=True).stdout
    symbols = (line.split()[1:] for line in output.splitlines())
    # Weak symbols are templates of the C++ library; names with an underscore are the toolchain's.
    return {name for kind, name in symbols if kind in "TDB" and not name.startswith("_")}


class LibraryTest(unittest.TestCase):
    def test_exports_what_the_header_declares_and_nothing_else(self):
        declared = public_functions()
        self.assertGreater(len(declared), 50)
        self.assertEqual(exported_functions(), declared)


@unittest.skipIf(MISSING, MISSING)
class TypelibTest(unittest.TestCase):
    # C only: a borrowed pointer, type machinery, and what Python does by itself.
    NOT_FOR_BINDINGS = {"gst_sphere_face_meta_peek_face", "gst_sphere_face_meta_get_info"}

    def test_every_function_is_there(self):
        path = TYPELIB.replace(".typelib", ".gir")
        with open(path, encoding="utf-8") as file:
            gir = file.read()
        names = set(re.findall(r'c:identifier="(gst_\w+)"', gir)) | set(re.findall(r'glib:get-type="(\w+)"', gir))
        hidden = set(re.findall(r'c:identifier="(gst_\w+)"[^>]*introspectable="0"', gir))
        missing = public_functions() - (names - hidden) - self.NOT_FOR_BINDINGS
        self.assertEqual(missing, set())


@unittest.skipIf(MISSING, MISSING)
class FaceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        Gst.init(None)

    def test_a_new_one_is_empty(self):
        face = GstSphere.Face.new(10, 20, 30, 40, 0.5)
        self.assertEqual(tuple(face.get_box()), (10, 20, 30, 40))
        self.assertEqual(face.get_score(), 0.5)
        self.assertFalse(face.get_landmarks())
        self.assertFalse(face.get_dense_landmarks())
        self.assertFalse(face.get_embedding())
        for nothing in (face.get_embedding_stamp(), face.dup_embedding_model(), face.get_crop(),
                        face.get_crop_caps(), face.get_crop_template(), face.get_match_id(),
                        face.get_match_label(), face.get_unknown_label(), face.get_attributes()):
            self.assertIsNone(nothing)
        self.assertEqual(face.get_track_id(), -1)
        self.assertEqual(face.get_n_candidates(), 0)
        self.assertFalse(face.get_quality()[0])
        self.assertFalse(face.get_pose()[0])
        self.assertFalse(face.get_eye_roll()[0])
        self.assertFalse(face.get_match_info()[0])
        self.assertFalse(face.get_candidate(0)[0])
        self.assertEqual(face.get_state(), GstSphere.FaceState.UNDECIDED)
        self.assertEqual(face.get_reason(), GstSphere.FaceReason.NONE)

    def test_holds_what_is_set(self):
        face = GstSphere.Face.new(10, 20, 30, 40, 0.5)
        points = [float(i) for i in range(10)]
        face.set_landmarks(points)
        self.assertEqual(list(face.get_landmarks()), points)
        face.set_dense_landmarks(points[:6])
        self.assertEqual(list(face.get_dense_landmarks()), points[:6])
        face.set_embedding([0.5, -1.0], STAMP)
        self.assertEqual(list(face.get_embedding()), [0.5, -1.0])
        self.assertEqual((face.get_embedding_stamp(), face.dup_embedding_model()), (STAMP, "m"))
        face.set_quality(0.1, 0.2, 0.3, 40, 5, 6, 7)
        self.assertEqual(tuple(face.get_quality()), (True, 0.1, 0.2, 0.3, 40))
        self.assertEqual(tuple(face.get_pose()), (True, 5, 6, 7))
        face.set_eye_roll(-3)
        self.assertEqual(tuple(face.get_eye_roll()), (True, -3))
        face.set_track_id(2 ** 40)
        self.assertEqual(face.get_track_id(), 2 ** 40)
        self.assertFalse(face.get_carried())
        face.set_carried(True)
        self.assertTrue(face.get_carried())
        self.assertTrue(face.copy().get_carried())
        face.set_unknown_label("guest")
        self.assertEqual(face.get_unknown_label(), "guest")
        face.set_match_info("cosine", 0.4, math.nan)
        decided, metric, threshold, margin = face.get_match_info()
        self.assertEqual((decided, metric, threshold), (True, "cosine", 0.4))
        self.assertTrue(math.isnan(margin))
        attributes = Gst.Structure.new_empty("attributes")
        attributes.set_value("age", 42)
        face.set_attributes(attributes)
        self.assertEqual(face.get_attributes().get_value("age"), 42)

    def test_match_is_of_known_faces(self):
        face = GstSphere.Face.new(10, 20, 30, 40, 0.5)
        face.add_candidate("ada", "Ada", 0.25, 0.75)
        face.add_candidate("bob", None, 0.5, 0.5)
        self.assertEqual(face.get_candidate(0), (True, "ada", "Ada", 0.25, 0.75))
        self.assertEqual(face.get_candidate(1), (True, "bob", "bob", 0.5, 0.5))
        self.assertIsNone(face.get_match_id())
        face.set_state(GstSphere.FaceState.KNOWN, GstSphere.FaceReason.NONE)
        self.assertEqual((face.get_match_id(), face.get_match_label()), ("ada", "Ada"))
        self.assertEqual(face.get_state().value_nick, "known")
        self.assertEqual(GstSphere.FaceState.to_string(face.get_state()), "known")
        face.clear_candidates()
        self.assertEqual(face.get_n_candidates(), 0)

    def test_copies_are_independent(self):
        face = GstSphere.Face.new(10, 20, 30, 40, 0.5)
        copy = face.copy()
        copy.set_box(0, 0, 1, 1)
        copy.set_score(0.25)
        self.assertEqual(tuple(face.get_box()), (10, 20, 30, 40))
        self.assertEqual(face.get_score(), 0.5)
        self.assertEqual(copy.get_id(), face.get_id())


@unittest.skipIf(MISSING, MISSING)
class MetaTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        Gst.init(None)

    def test_on_a_buffer_of_ones_own(self):
        buffer = Gst.Buffer.new()
        self.assertIsNone(GstSphere.buffer_get_sphere_face_meta(buffer))
        meta = GstSphere.buffer_add_sphere_face_meta(buffer, 100, 50)
        face = GstSphere.Face.new(10, 20, 30, 40, 0.5)
        meta.add_face(face)
        face.set_track_id(5)
        self.assertEqual(meta.get_face(0).get_track_id(), -1, "the face in the meta is a copy")
        self.assertIsNone(meta.get_tracks())
        shared = Gst.Bus()
        meta.set_tracks(shared)
        self.assertEqual(meta.get_tracks(), shared)
        meta.set_tracks(None)
        self.assertIsNone(meta.get_tracks())
        self.assertTrue(meta.set_face(0, face))
        self.assertFalse(meta.set_face(1, face))
        meta.sync(buffer)
        roi = GstVideo.buffer_get_video_region_of_interest_meta_id(buffer, face.get_id())
        self.assertEqual((roi.x, roi.y, roi.w, roi.h), (10, 20, 30, 30), "clipped to the frame")
        detection = roi.get_param("detection")
        self.assertEqual([detection.get_value(name) for name in ("x_min", "x_max", "y_min", "y_max", "confidence")],
                         [0.1, 0.4, 0.4, 1.0, 0.5])
        self.assertEqual(roi.get_param("object_id").get_value("id"), 5)
        self.assertIsNone(roi.get_param("embedding"))
        face = meta.get_face(0)
        meta.clear()
        del buffer
        self.assertEqual(tuple(face.get_box()), (10, 20, 30, 40), "a face outlives its buffer")

    def test_of_a_pipeline(self):
        pipeline = Gst.parse_launch(
            "videotestsrc num-buffers=3 ! video/x-raw,width=320,height=240 ! spheredetect model=fake-detect"
            " ! queue ! spherealign ! sphereembed model=fake-embed ! appsink name=end sync=false")
        end = pipeline.get_by_name("end")
        pipeline.set_state(Gst.State.PLAYING)
        faces = []
        while True:
            sample = end.try_pull_sample(30 * Gst.SECOND)
            if sample is None:
                break
            meta = GstSphere.buffer_get_sphere_face_meta(sample.get_buffer())
            self.assertEqual(meta.get_n_faces(), 1)
            self.assertIsNone(meta.get_face(1))
            faces.append(meta.get_face(0))
        self.assertTrue(end.is_eos())
        pipeline.set_state(Gst.State.NULL)
        self.assertEqual(len(faces), 3)
        for face in faces:
            self.check_embedded(face)
        self.assertEqual(len({face.get_id() for face in faces}), 3)

    def check_embedded(self, face):
        self.assertEqual(tuple(face.get_box()), (100, 60, 120, 120))
        points = face.get_landmarks()
        self.assertEqual(len(points), 10)
        self.assertLess(points[0], points[2], "the image-left eye first")
        self.assertEqual(len(face.get_embedding()), 128)
        self.assertTrue(face.get_embedding_stamp().startswith("fake-embed|"))
        self.assertEqual(face.get_state(), GstSphere.FaceState.UNDECIDED)
        self.assertEqual(face.get_crop_template(), "sphereface-112x96")
        self.assertEqual(face.get_crop().get_size(), 112 * 96 * 3)
        caps = Gst.Caps.from_string("video/x-raw,format=BGR,width=96,height=112,framerate=0/1")
        self.assertTrue(face.get_crop_caps().is_equal(caps), face.get_crop_caps().to_string())
        mapped, info = face.get_crop().map(Gst.MapFlags.READ)
        self.assertTrue(mapped)
        self.assertGreater(len(set(bytes(info.data))), 2, "the crop holds no picture")
        face.get_crop().unmap(info)
        assessed, score, *_ = face.get_quality()
        self.assertTrue(assessed)
        self.assertTrue(0 <= score <= 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
