"""Lists the tree that is in a NAR, a tar archive or a directory, so that trees can be compared line for line.

An oracle for what the registry makes out of NARs: it is written after Nix's own description of the format (the Nix
manual, "Nix Archive (NAR) format") and shares nothing with src.

    list-tree.py nar < NAR        list-tree.py tar FILE        list-tree.py dir DIRECTORY

A line is: path, type, mode, owner:group, seconds, and size and SHA-256 of a file or the target of a symbolic link.
Names and targets are bytes, and written with %XX for all but letters, digits and _.-~/. The root of a NAR is ".".
What a NAR does not say is written as Nix stores have it.
"""

import contextlib
import hashlib
import os
import stat
import subprocess
import sys
import tarfile
from urllib.parse import quote_from_bytes

BLOCK = 1 << 20


def line(path, kind, mode, owner, seconds, *rest):
    print(quote_from_bytes(path), kind, f"{mode:o}", owner, seconds, *rest)


def content(read, size):
    """Size and SHA-256 of `size` bytes that `read` gives."""
    digest = hashlib.sha256()
    left = size
    while left > 0:
        piece = read(min(left, BLOCK))
        if not piece:
            raise EOFError(f"{left} of {size} bytes are missing")
        digest.update(piece)
        left -= len(piece)
    return size, digest.hexdigest()


class Nar:
    def __init__(self, stream):
        self.stream = stream

    def exactly(self, size):
        piece = self.stream.read(size)
        if len(piece) != size:
            raise EOFError("the NAR ends early")
        return piece

    def size(self):
        return int.from_bytes(self.exactly(8), "little")

    def padding(self, size):
        if any(self.exactly(-size % 8)):
            raise ValueError("padding that is not zero")

    def word(self):
        size = self.size()
        text = self.exactly(size)
        self.padding(size)
        return text

    def expect(self, *words):
        for wanted in words:
            found = self.word()
            if found != wanted:
                raise ValueError(f"{found!r} instead of {wanted!r}")

    def archive(self):
        self.expect(b"nix-archive-1")
        self.expect(b"(")
        self.node(b".")
        if self.stream.read(1):
            raise ValueError("something comes after the NAR")

    def node(self, path):
        """A node without its opening parenthesis, up to and with its closing one."""
        self.expect(b"type")
        kind = self.word()
        if kind == b"regular":
            self.regular(path)
        elif kind == b"symlink":
            self.expect(b"target")
            line(path, "symlink", 0o777, "0:0", 1, quote_from_bytes(self.word()))
            self.expect(b")")
        elif kind == b"directory":
            line(path, "directory", 0o555, "0:0", 1)
            self.entries(path)
        else:
            raise ValueError(f"type {kind!r}")

    def regular(self, path):
        word = self.word()
        mode = 0o444
        if word == b"executable":
            self.expect(b"")
            mode = 0o555
            word = self.word()
        found = (0, hashlib.sha256().hexdigest())
        if word == b"contents":
            size = self.size()
            found = content(self.stream.read, size)
            self.padding(size)
            word = self.word()
        if word != b")":
            raise ValueError(f"{word!r} at the end of a file")
        line(path, "file", mode, "0:0", 1, *found)

    def entries(self, path):
        while (word := self.word()) == b"entry":
            self.expect(b"(", b"name")
            name = self.word()
            self.expect(b"node", b"(")
            self.node(name if path == b"." else path + b"/" + name)
            self.expect(b")")
        if word != b")":
            raise ValueError(f"{word!r} in a directory")


@contextlib.contextmanager
def open_tar(file):
    """A tar archive, compressed with what Python knows, or with zstd, which it learns with 3.14."""
    names = {"encoding": "utf-8", "errors": "surrogateescape"}
    with open(file, "rb") as opened:
        is_zstd = opened.read(4) == b"\x28\xb5\x2f\xfd"
    if not is_zstd:
        with tarfile.open(file, "r:*", **names) as archive:
            yield archive
        return
    with subprocess.Popen(["zstd", "-dcq", file], stdout=subprocess.PIPE) as zstd:
        with tarfile.open(fileobj=zstd.stdout, mode="r|", **names) as archive:
            yield archive
        while zstd.stdout.read(BLOCK):
            pass
    if zstd.returncode != 0:
        raise OSError(f"zstd ended with {zstd.returncode}")


def list_tar(file):
    as_bytes = lambda text: text.encode("utf-8", "surrogateescape")
    with open_tar(file) as archive:
        for member in archive:
            path = as_bytes(member.name)
            common = (member.mode, f"{member.uid}:{member.gid}", int(member.mtime))
            if member.isdir():
                line(path, "directory", *common)
            elif member.issym():
                line(path, "symlink", *common, quote_from_bytes(as_bytes(member.linkname)))
            elif member.isreg():
                line(path, "file", *common, *content(archive.extractfile(member).read, member.size))
            else:
                raise ValueError(f"{member.name!r} has type {member.type!r}")


def list_directory(directory, prefix=b""):
    for name in os.listdir(directory):
        entry, path = os.path.join(directory, name), prefix + name
        status = os.lstat(entry)
        common = (stat.S_IMODE(status.st_mode), f"{status.st_uid}:{status.st_gid}", int(status.st_mtime))
        if stat.S_ISDIR(status.st_mode):
            line(path, "directory", *common)
            list_directory(entry, path + b"/")
        elif stat.S_ISLNK(status.st_mode):
            line(path, "symlink", *common, quote_from_bytes(os.readlink(entry)))
        elif stat.S_ISREG(status.st_mode):
            with open(entry, "rb") as opened:
                line(path, "file", *common, *content(opened.read, status.st_size))
        else:
            raise ValueError(f"{entry!r} is of no type that a store path has")


if __name__ == "__main__":
    source = sys.argv[1]
    if source == "nar":
        Nar(sys.stdin.buffer).archive()
    elif source == "tar":
        list_tar(sys.argv[2])
    elif source == "dir":
        list_directory(os.fsencode(sys.argv[2]))
    else:
        sys.exit(__doc__)
