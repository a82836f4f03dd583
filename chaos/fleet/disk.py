"""A small disk of a host's own, made of a file: ext4 like a server's, and small enough to be filled. Unmounts only what it mounted,
in this run or in one that was killed."""

import os

from words import shell

MEGABYTES = 64


class Disk:
    def __init__(self, cache, name):
        self.image, self.mount = cache / f"disk-{name}.img", cache / f"disk-{name}"

    def make(self):
        self.stop()
        self.mount.mkdir(exist_ok=True)
        self.image.unlink(missing_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(MEGABYTES * 1024 * 1024)
        # No journal and no reserve: what the files take is what is gone.
        shell("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(self.image))
        shell("mount", "-o", "loop,nosuid,nodev,noexec", str(self.image), str(self.mount))
        (self.mount / "lost+found").rmdir()
        self.mount.chmod(0o775)

    def stop(self):
        if os.path.ismount(self.mount):
            shell("umount", str(self.mount))
        self.image.unlink(missing_ok=True)
