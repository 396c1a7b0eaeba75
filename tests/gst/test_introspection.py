#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The metadata from Python by introspection."""
import unittest

try:
    import gi
    gi.require_version("Gst", "1.0")
    gi.require_version("GstSphere", "1.0")
    from gi.repository import Gst, GstSphere
    MISSING = None
except (ImportError, ValueError) as error:
    MISSING = f"built without introspection (enable with -Dintrospection=enabled): {error}"


@unittest.skipIf(MISSING, MISSING)
class Introspection(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        Gst.init(None)

    def test_a_face_of_ones_own(self):
        face = GstSphere.Face.new(10, 20, 30, 40, 0.5)
        self.assertEqual(tuple(face.get_box()), (10, 20, 30, 40))
        self.assertEqual(face.get_score(), 0.5)
        self.assertEqual(list(face.get_landmarks() or []), [])
        face.set_landmarks([float(i) for i in range(10)])
        self.assertEqual(list(face.get_landmarks()), [float(i) for i in range(10)])
        face.set_embedding([0.5, -1.0], "m|s|p|t|none|2")
        self.assertEqual(list(face.get_embedding()), [0.5, -1.0])
        self.assertEqual(face.dup_embedding_model(), "m")
        face.add_candidate("ada", "Ada", 0.25, 0.75)
        self.assertEqual(face.get_candidate(0), (True, "ada", "Ada", 0.25, 0.75))
        self.assertIsNone(face.get_match_id())
        face.set_state(GstSphere.FaceState.KNOWN, GstSphere.FaceReason.NONE)
        self.assertEqual(face.get_match_id(), "ada")
        self.assertEqual(face.get_state().value_nick, "known")
        copy = face.copy()
        copy.set_box(0, 0, 1, 1)
        self.assertEqual(tuple(face.get_box()), (10, 20, 30, 40))

    def test_faces_of_a_pipeline(self):
        seen = []

        def probe(_pad, info):
            meta = GstSphere.buffer_get_sphere_face_meta(info.get_buffer())
            self.assertEqual(meta.get_n_faces(), 1)
            self.assertIsNone(meta.get_face(1))
            seen.append(meta.get_face(0))
            return Gst.PadProbeReturn.OK

        pipeline = Gst.parse_launch(
            "videotestsrc num-buffers=3 ! video/x-raw,width=320,height=240 ! spheredetect model=fake-detect"
            " ! spherealign ! sphereembed model=fake-embed ! fakesink name=end")
        pipeline.get_by_name("end").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, probe)
        pipeline.set_state(Gst.State.PLAYING)
        message = pipeline.get_bus().timed_pop_filtered(
            30 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
        self.assertEqual(message.type, Gst.MessageType.EOS)
        pipeline.set_state(Gst.State.NULL)
        self.assertEqual(len(seen), 3)
        face = seen[0]
        self.assertEqual(tuple(face.get_box()), (100, 60, 120, 120))
        self.assertEqual(len(face.get_landmarks()), 10)
        self.assertEqual(len(face.get_embedding()), 128)
        self.assertTrue(face.get_embedding_stamp().startswith("fake-embed|"))
        self.assertEqual(face.get_crop_template(), "sphereface-112x96")
        self.assertEqual(face.get_crop().get_size(), 112 * 96 * 3)
        caps = face.get_crop_caps().get_structure(0)
        self.assertEqual((caps.get_value("format"), caps.get_value("width"), caps.get_value("height")),
                         ("BGR", 96, 112))
        assessed, score, *_ = face.get_quality()
        self.assertTrue(assessed)
        self.assertTrue(0 <= score <= 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
