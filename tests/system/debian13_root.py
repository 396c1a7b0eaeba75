# SPDX-License-Identifier: MIT
"""A Debian 13 root made by debootstrap, for tests of what Debian 12 does not have. SPHERE_DEBIAN13_ROOT=DIR makes it
there, or takes what is there, and keeps it for another test or run."""
import os
import shutil
import subprocess
import tempfile
import unittest

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# In a mount namespace of the command's own: nothing stays mounted, whatever becomes of it.
ENTER = """set -e
mount -t proc proc "$0/proc"
mount -t sysfs -o ro sysfs "$0/sys"
mount -t tmpfs tmpfs "$0/dev/shm"
data=$1; shift
if [ -n "$data" ]; then
    mkdir -p "$0/srv/shared"
    mount --bind "$data" "$0/srv/shared"
    mount -o remount,bind,ro "$0/srv/shared"
fi
exec chroot "$@"
"""


class Debian13Root:
    def __init__(self, path):
        self.path = path

    @classmethod
    def of(cls, test_class):
        """For setUpClass: makes the root, or skips the class where that cannot be done here."""
        if os.environ.get("SPHERE_SLOW_TESTS") != "1":
            raise unittest.SkipTest("makes a Debian 13 root, many minutes: set SPHERE_SLOW_TESTS=1")
        if os.geteuid() != 0 or not shutil.which("debootstrap") or not shutil.which("unshare"):
            raise unittest.SkipTest("needs root, debootstrap and unshare")
        kept = os.environ.get("SPHERE_DEBIAN13_ROOT")
        if kept:
            root = cls(os.path.abspath(kept))
        else:
            folder = tempfile.TemporaryDirectory()
            test_class.addClassCleanup(folder.cleanup)
            os.chmod(folder.name, 0o755)
            root = cls(os.path.join(folder.name, "root"))
        root.make()
        return root

    def make(self):
        complete = self.at("etc/sphere-root-complete")
        if os.path.exists(complete):
            return
        if os.path.exists(self.path) and os.listdir(self.path):
            raise AssertionError(f"{self.path} was left half made, or is something else: remove it")
        # It mounts /proc there, and does not always take it away again.
        made = run_quietly("unshare", "--mount", "--propagation", "private",
                           "debootstrap", "--variant=minbase", "trixie", self.path, timeout_s=3600)
        if made.returncode != 0:
            raise unittest.SkipTest("debootstrap cannot make a Debian 13 root here: " + made.stdout[-200:])
        # No package starts its server, and what a crash would lose of a throw-away root is no loss.
        self.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        self.write("etc/dpkg/dpkg.cfg.d/fast", "force-unsafe-io\n")
        self.write("etc/sphere-root-complete", "")

    def install(self, packages):
        """Installs what is missing; skips the class where Debian's packages cannot be had."""
        missing = [name for name in packages if self.run(
            f"dpkg-query -W -f='${{Status}}' {name} | grep -qx 'install ok installed'").returncode != 0]
        if not missing:
            return
        done = self.run("export DEBIAN_FRONTEND=noninteractive; apt-get update -q && "
                        f"apt-get install -y -q --no-install-recommends {' '.join(missing)} && apt-get clean",
                        timeout_s=5400)
        if "Unable to locate package" in done.stdout or "has no installation candidate" in done.stdout:
            raise AssertionError("not packages of Debian 13:\n" + done.stdout[-2000:])
        if done.returncode != 0:
            raise unittest.SkipTest("Debian 13's packages cannot be had: " + done.stdout[-400:])

    def command(self, *argv, user=None, data="", environment=()):
        """argv that runs `argv` in the root as `user`; `data` is a folder to be seen there, read-only, as /srv/shared."""
        who = [f"--userspec={user}:{user}"] if user else []
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, self.path, data, *who, self.path,
                "env", "-i", f"PATH={PATH}", "LANG=C.UTF-8", "HOME=/root", *environment, *argv]

    def run(self, script, timeout_s=600, **where):
        """A shell script in the root; its output and errors are in stdout."""
        return run_quietly(*self.command("sh", "-c", script, **where), timeout_s=timeout_s)

    def at(self, path):
        return os.path.join(self.path, path)

    def write(self, path, text, mode=0o644):
        with open(self.at(path), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(file.name, mode)


def run_quietly(*command, timeout_s):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          check=False, stdin=subprocess.DEVNULL, timeout=timeout_s)
