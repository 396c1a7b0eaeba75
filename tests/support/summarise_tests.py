#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Counts the test cases of the last `meson test` of a build directory.

Prints each failed and each skipped case, then "N passed, N failed, N skipped". Cases are counted one
by one: GoogleTest's from its XML, unittest's from its output; any other test is one case.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

# A skip that speaks of missing files, as against a part that this build or machine lacks.
DATA_SKIP = re.compile(r"SPHERE_TEST_DATA|shared|test data|not fetched|model .*(absent|missing)|"
                       r"no such file|not found|not installed|\babsent\b", re.IGNORECASE)

UNITTEST_TOTAL = re.compile(r"^Ran (\d+) tests?\b", re.MULTILINE)
UNITTEST_SKIP = re.compile(r"^(?P<case>.*?) ?\.\.\. skipped ['\"](?P<reason>.*)['\"]$", re.MULTILINE)
UNITTEST_BAD = re.compile(r"^(?:FAIL|ERROR): (.*)$", re.MULTILINE)


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []   # (case, reason)
        self.skipped = []  # (case, reason)


def gtest_cases(tally, test, junit):
    """Adds the cases that GoogleTest reported; false if it reported none."""
    found = False
    prefix = f"{test['project']}.{test['name']}."
    for suite in junit:
        if not suite.get("name", "").startswith(prefix):
            continue
        for case in suite.findall("testcase"):
            found = True
            name = f"{test['name']}: {suite.get('name')[len(prefix):]}.{case.get('name')}"
            failure = case.find("failure")
            skipped = case.find("skipped")
            if failure is not None:
                tally.failed.append((name, (failure.get("message") or "").strip()))
            elif skipped is not None or case.get("status") == "notrun":
                reason = skipped.get("message") if skipped is not None else "disabled"
                # "file:line\nreason": the place is of no use to a reader of the list.
                lines = [line for line in (reason or "").splitlines() if line.strip()]
                tally.skipped.append((name, " ".join(lines[1:] or lines) or "no reason given"))
            else:
                tally.passed += 1
    return found


def unittest_cases(tally, name, text):
    """Adds the cases that unittest counted; false if `text` holds no summary of its."""
    total = UNITTEST_TOTAL.search(text)
    if not total:
        return False
    bad = UNITTEST_BAD.findall(text)
    skips = [(m["case"] or "?", m["reason"]) for m in UNITTEST_SKIP.finditer(text)]
    counted = re.search(r"skipped=(\d+)", text[total.end():])
    missing = (int(counted[1]) if counted else 0) - len(skips)
    skips += [("?", "see the log")] * max(0, missing)
    # One case may fail in several of its sub-tests: each is listed, the case is counted once.
    cases = {re.sub(r" \[.*\]$| \(.*=.*\)$", "", b) for b in bad}
    tally.failed += [(f"{name}: {b}", "") for b in bad]
    tally.skipped += [(f"{name}: {case}", reason) for case, reason in skips]
    tally.passed += max(0, int(total[1]) - len(cases) - len(skips))
    return True


def add_test(tally, test, entry, junit):
    text = (entry.get("stdout") or "") + "\n" + (entry.get("stderr") or "")
    name = test["name"]
    failed_before = len(tally.failed)
    if test["protocol"] == "gtest":
        known = gtest_cases(tally, test, junit)
    else:
        known = unittest_cases(tally, name, text)
    if entry["result"] in ("OK", "SKIP", "EXPECTEDFAIL"):
        if not known and entry["result"] == "SKIP":
            lines = text.strip().splitlines()
            tally.skipped.append((name, lines[-1] if lines else "no reason given"))
        elif not known:
            tally.passed += 1
    elif len(tally.failed) == failed_before:
        # It crashed, hung or said nothing of which case failed.
        tally.failed.append((name, f"{entry['result']}, exit status {entry['returncode']}"))
        print(f"--- end of the output of {name}\n{text[-4000:].rstrip()}\n---")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--data-present", action="store_true",
                        help="count a skip for missing data as a failure")
    options = parser.parse_args()

    listing = subprocess.run(["meson", "introspect", "--tests", options.build_dir], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    tests = {test["name"]: dict(test, project="gst-sphere") for test in json.loads(listing)}
    logs = os.path.join(options.build_dir, "meson-logs")
    junit_path = os.path.join(logs, "testlog.junit.xml")
    junit = ElementTree.parse(junit_path).getroot() if os.path.exists(junit_path) else []

    tally = Tally()
    with open(os.path.join(logs, "testlog.json"), encoding="utf-8") as log:
        for line in log:
            entry = json.loads(line)
            name = entry["name"].split(" / ")[-1].split(":")[-1].strip()
            add_test(tally, tests[name], entry, junit)

    skipped = []
    for case, reason in tally.skipped:
        if options.data_present and DATA_SKIP.search(reason):
            tally.failed.append((case, f"skipped though the test data is here: {reason}"))
        else:
            skipped.append((case, reason))
    for case, reason in skipped:
        print(f"SKIPPED {case}: {reason}")
    for case, reason in tally.failed:
        first = reason.splitlines()[:6]
        print(f"FAILED {case}" + (": " + "\n    ".join(first) if first else ""))
    print(f"{tally.passed} passed, {len(tally.failed)} failed, {len(skipped)} skipped")
    return 1 if tally.failed or tally.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
