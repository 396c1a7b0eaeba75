#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Strangers are not named: people of lfw-dev with one and with three pictures enrolled, at the defaults."""
import os
import tempfile
import unittest

from cli_support import DATA, need, run_json

LFW = os.path.join(DATA, "lfw-dev")
PEOPLE, STRANGERS = 150, 300


def people_with(least):
    """{name: sorted pictures} of those with at least so many."""
    people = {}
    for name in sorted(os.listdir(LFW)):
        folder = os.path.join(LFW, name)
        if os.path.isdir(folder):
            pictures = sorted(os.path.join(folder, f) for f in os.listdir(folder) if f.endswith(".jpg"))
            if len(pictures) >= least:
                people[name] = pictures
    return people


class OpenSet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("lfw-dev", models=("fr_feature", "yunet-640"))

    def measure(self, enrolled, probes, strangers):
        """(share of strangers named, share of probes identified, share named wrongly)"""
        with tempfile.TemporaryDirectory() as folder:
            for name, pictures in enrolled.items():
                os.makedirs(os.path.join(folder, "people", name))
                for picture in pictures:
                    os.symlink(picture, os.path.join(folder, "people", name, os.path.basename(picture)))
            gallery = os.path.join(folder, "g.db")
            _, document = run_json("enrol", "--gallery", gallery, os.path.join(folder, "people"))
            self.assertEqual(document["people"], len(enrolled), document["failed"])
            paths = [*probes, *strangers]
            _, document = run_json("find", "--gallery", gallery, *paths)
            got = {}
            for image in document["images"]:
                # LFW's person is the one nearest to the centre.
                centre = lambda face: sum((face["box"][i] + face["box"][i + 2] / 2 - 125) ** 2  # noqa: E731
                                          for i in (0, 1))
                face = min(image["faces"], key=centre, default=None)
                got[image["path"]] = face["candidates"][0]["id"] if face and face["known"] else None
            _, check = run_json("gallery", "check", "--gallery", gallery)
        named = sum(got.get(path) is not None for path in strangers) / len(strangers)
        right = sum(got.get(path) == name for path, name in probes.items()) / len(probes)
        wrong = sum(got.get(path) not in (None, name) for path, name in probes.items()) / len(probes)
        print(f"{len(enrolled)} people, threshold {document['threshold']}: strangers named {named:.2%}, identified "
              f"{right:.2%}, wrongly {wrong:.2%}; by its own check: strangers named "
              f"{check['strangers_named']}/{check['strangers']}, suggested {check['suggested_threshold']}")
        return named, right, wrong

    def test_one_picture_a_person(self):
        people = list(people_with(2).items())[:PEOPLE]
        self.assertEqual(len(people), PEOPLE)
        enrolled = {name: pictures[:1] for name, pictures in people}
        probes = {pictures[1]: name for name, pictures in people}
        strangers = [pictures[0] for name, pictures in people_with(1).items() if name not in enrolled][:STRANGERS]
        self.assertEqual(len(strangers), STRANGERS)
        named, right, wrong = self.measure(enrolled, probes, strangers)
        self.assertLessEqual(named, 0.01)
        self.assertGreaterEqual(right, 0.94)
        self.assertLessEqual(wrong, 0.01)

    def test_three_pictures_a_person(self):
        people = {name: pictures for name, pictures in people_with(4).items()}
        enrolled = {name: pictures[:3] for name, pictures in people.items()}
        probes = {picture: name for name, pictures in people.items() for picture in pictures[3:5]}
        strangers = [pictures[0] for name, pictures in people_with(1).items() if name not in enrolled][:STRANGERS]
        named, right, wrong = self.measure(enrolled, probes, strangers)
        self.assertLessEqual(named, 0.01)
        self.assertGreaterEqual(right, 0.97)
        self.assertLessEqual(wrong, 0.01)


if __name__ == "__main__":
    unittest.main(verbosity=2)
