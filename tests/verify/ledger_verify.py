#!/usr/bin/env python3
"""Verifies Paramedic's ledger without any of Paramedic's code.

Written by hand from the specifications, with nothing but hashlib, base64 and the openssl command (for Ed25519):
RFC 6962 section 2.1 (Merkle trees and both proofs), c2sp.org/signed-note, tlog-checkpoint, tlog-tiles, tlog-proof, tlog-cosignature
and tlog-witness. What an entry's leaf is, docs/ledger.md says.

    ledger_verify.py export EXPORT CHECKPOINT VKEY      every line of an export against a checkpoint
    ledger_verify.py tiles FOLDER VKEY                  published tiles against their own checkpoint
    ledger_verify.py proof PROOF VKEY [LINE]            one entry (LINE: a file with its line of an export)
    ledger_verify.py cosigned CHECKPOINT VKEY WITNESS   a witness's signature below a checkpoint
    ledger_verify.py batch                              many cases on standard input, for the tests
"""

import base64
import binascii
import hashlib
import os
import re
import subprocess
import sys
import tempfile

FULL = 256
HASH = 32
# White space of Unicode, as signed-note forbids it in names.
SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"


class Wrong(Exception):
    """What is being verified does not verify."""


def require(holds, why):
    if not holds:
        raise Wrong(why)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# RFC 6962, section 2.1


def leaf_hash(leaf):
    return sha256(b"\x00", leaf)


def node_hash(left, right):
    return sha256(b"\x01", left, right)


def tree_hash(leaves):
    """MTH: the largest power of two smaller than n leaves goes left."""
    n = len(leaves)
    if n == 0:
        return sha256()
    if n == 1:
        return leaves[0]
    k = 1 << ((n - 1).bit_length() - 1)
    return node_hash(tree_hash(leaves[:k]), tree_hash(leaves[k:]))


def check_inclusion(index, size, leaf, path, root):
    """Section 2.1.1, walked upwards as RFC 9162, section 2.1.3.2 does."""
    require(0 <= index < size, "the index is outside the tree")
    fn, sn, r = index, size - 1, leaf
    for p in path:
        require(sn != 0, "the proof is too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not (fn & 1) and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            r = node_hash(r, p)
        fn >>= 1
        sn >>= 1
    require(sn == 0 and r == root, "the inclusion proof does not hold")


def check_consistency(first, first_root, second, second_root, path):
    """Section 2.1.2, walked upwards as RFC 9162, section 2.1.4.2 does."""
    require(0 <= first <= second, "the log became shorter")
    if first == 0:
        require(not path, "a proof from nothing is empty")
        return
    if first == second:
        require(not path and first_root == second_root, "one size, two roots")
        return
    require(path, "the consistency proof is empty")
    path = list(path)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    fr = sr = path[0]
    for c in path[1:]:
        require(sn != 0, "the proof is too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not (fn & 1) and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            sr = node_hash(sr, c)
        fn >>= 1
        sn >>= 1
    require(sn == 0 and fr == first_root and sr == second_root, "the consistency proof does not hold")


# signed-note, tlog-checkpoint, tlog-cosignature


def unbase64(text):
    """Standard base64 in its one canonical spelling."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Wrong(f"not base64: {error}") from error
    require(base64.b64encode(raw).decode() == text, "not canonical base64")
    return raw


def decimal(text):
    require(re.fullmatch(r"0|[1-9][0-9]{0,19}", text, re.ASCII) is not None, "not a number without leading zeros")
    number = int(text)
    require(number < 1 << 64, "a number beyond 64 bits")
    return number


class Key:
    """A vkey: name+hash+base64(type || 32 bytes)."""

    def __init__(self, vkey, kind):
        parts = vkey.split("+", 2)
        require(len(parts) == 3, "a vkey has three parts")
        self.name, key_id, encoded = parts
        raw = unbase64(encoded)
        require(len(raw) == 33 and raw[0] == kind, "not an Ed25519 key of this type")
        require(valid_name(self.name), "not a key name")
        self.id = sha256(self.name.encode(), b"\n", raw)[:4]
        require(self.id.hex() == key_id, "the key's hash is wrong")
        self.public = raw[1:]


def valid_name(name):
    return name != "" and not any(c in SPACES or c == "+" for c in name)


class OpenSsl:
    """Ed25519 by `openssl pkeyutl`; what was verified once is remembered."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.known = {}
        self.calls = 0

    def path(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def verify(self, public, message, signature):
        case = (public, message, signature)
        if case not in self.known:
            self.calls += 1
            self.known[case] = len(signature) == 64 and self.ask(public, message, signature)
        return self.known[case]

    def ask(self, public, message, signature):
        # SubjectPublicKeyInfo of an Ed25519 key (RFC 8410).
        key = self.path("key", bytes.fromhex("302a300506032b6570032100") + public)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", key, "-rawin"]
        command += ["-in", self.path("message", message), "-sigfile", self.path("signature", signature)]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


OPENSSL = OpenSsl()


def read_note(note):
    """The text and the signatures (name, key id, bytes)."""
    try:
        text = note.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise Wrong("a note is UTF-8") from error
    require(len(note) <= 1_000_000, "too long for a note")
    require(not any(c < " " and c != "\n" for c in text), "a control character in a note")
    body, blank, block = text.rpartition("\n\n")
    require(blank and block.endswith("\n"), "a note has a text, an empty line and signatures")
    signatures = []
    for line in block[:-1].split("\n"):
        require(line.startswith("\u2014 "), "a signature line begins with an em dash")
        name, space, encoded = line[2:].partition(" ")
        require(space and valid_name(name), "a signature line has a name")
        raw = unbase64(encoded)
        require(len(raw) >= 5, "a signature is at least five bytes")
        signatures.append((name, raw[:4], raw[4:]))
    require(len(signatures) <= 100, "too many signatures")
    return (body + "\n").encode(), signatures


def open_checkpoint(note, key):
    """Size and root of a checkpoint that the log signed."""
    text, signatures = read_note(note)
    own = [raw for name, key_id, raw in signatures if (name, key_id) == (key.name, key.id)]
    require(own, f"not signed by {key.name}")
    require(OPENSSL.verify(key.public, text, own[0]), "the log's signature is wrong")
    lines = text.decode().split("\n")
    require(len(lines) >= 4 and all(lines[:-1]), "a checkpoint has three lines at least and no empty one")
    require(lines[0] == key.name, "another log's checkpoint")
    root = unbase64(lines[2])
    require(len(root) == HASH, "a root is 32 bytes")
    return decimal(lines[1]), root


def check_cosigned(note, witness):
    """The time at which the witness co-signed."""
    text, signatures = read_note(note)
    for name, key_id, raw in signatures:
        if (name, key_id) == (witness.name, witness.id):
            require(len(raw) == 8 + 64, "a cosignature is a time and a signature")
            time = int.from_bytes(raw[:8], "big")
            message = f"cosignature/v1\ntime {time}\n".encode() + text
            require(OPENSSL.verify(witness.public, message, raw[8:]), "the cosignature is wrong")
            return time
    raise Wrong(f"not co-signed by {witness.name}")


# The ledger's own: a line of the export, and the leaf that it gives

NUMBER = rb"(0|[1-9][0-9]{0,18})"
LINE = re.compile(
    rb'\{"index":' + NUMBER + rb',"incident":"INC-' + NUMBER + rb'","seq":' + NUMBER + rb',"at":' + NUMBER + rb',"entry":(\{[^\n]*)\}'
)


def leaf_of_line(line):
    """The leaf's bytes and its index. The entry is hashed as its bytes stand there."""
    match = LINE.fullmatch(line)
    require(match is not None, "not a line of an export")
    index, incident, seq, at, entry = match.groups()
    require(all(int(number) < 1 << 63 for number in (index, incident, seq, at)), "a number beyond 63 bits")
    try:
        entry.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise Wrong("an export is UTF-8") from error
    digest = hashlib.sha256(entry).hexdigest().encode()
    leaf = b'{"at":%b,"entry":"%b","incident":"INC-%b","index":%b,"seq":%b}' % (at, digest, incident, index, seq)
    return leaf, int(index)


def check_export(export, note, key):
    size, root = open_checkpoint(note, key)
    require(export == b"" or export.endswith(b"\n"), "the export breaks off")
    lines = export.split(b"\n")[:-1]
    require(len(lines) == size, f"the checkpoint is of {size} entries, the export has {len(lines)}")
    leaves = []
    for expected, line in enumerate(lines):
        leaf, index = leaf_of_line(line)
        require(index == expected, f"line {expected + 1} is entry {index}")
        leaves.append(leaf_hash(leaf))
    require(tree_hash(leaves) == root, "the entries are not those of the checkpoint")
    return size, root


# tlog-proof, tlog-witness


def hash_lines(lines):
    require(len(lines) <= 63, "too many hashes")
    hashes = [unbase64(line) for line in lines]
    require(all(len(one) == HASH for one in hashes), "a hash is 32 bytes")
    return hashes


def head_and_note(text):
    head, blank, note = text.partition(b"\n\n")
    require(blank, "no empty line before the checkpoint")
    try:
        return head.decode("utf-8", errors="strict").split("\n"), note
    except UnicodeDecodeError as error:
        raise Wrong("not UTF-8") from error


def check_proof(proof, line, key):
    head, note = head_and_note(proof)
    require(head.pop(0) == "c2sp.org/tlog-proof@v1", "not a tlog-proof")
    extra = b""
    if head and head[0].startswith("extra "):
        extra = unbase64(head.pop(0)[len("extra ") :])
    require(head and head[0].startswith("index "), "a proof has an index")
    index = decimal(head.pop(0)[len("index ") :])
    path = hash_lines(head)
    size, root = open_checkpoint(note, key)
    leaf = leaf_of_line(line)[0] if line is not None else extra
    require(extra in (b"", leaf), "the proof is about another entry")
    check_inclusion(index, size, leaf_hash(leaf), path, root)
    return index, size


def check_growth(old_note, request, key):
    """What a witness that co-signed `old_note` last makes of a request to co-sign more."""
    head, note = head_and_note(request)
    require(head[0].startswith("old "), "a request names the old size")
    old = decimal(head[0][len("old ") :])
    path = hash_lines(head[1:])
    first, first_root = open_checkpoint(old_note, key)
    second, second_root = open_checkpoint(note, key)
    require(old == first, "the old size is not the one seen last")
    check_consistency(first, first_root, second, second_root, path)


# tlog-tiles


def tile_path(level, index, width):
    parts = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        parts.insert(0, f"x{index % 1000:03}")
    partial = "" if width == FULL else f".p/{width}"
    return f"tile/{level}/{'/'.join(parts)}{partial}"


def tiles_of(size, level):
    count = size >> (8 * level)
    tiles = [(index, FULL) for index in range(count // FULL)]
    return tiles + ([(count // FULL, count % FULL)] if count % FULL else [])


def split_bundle(bundle):
    leaves = []
    while bundle:
        require(len(bundle) >= 2, "a bundle breaks off")
        end = 2 + int.from_bytes(bundle[:2], "big")
        require(len(bundle) >= end, "a bundle breaks off")
        leaves.append(bundle[2:end])
        bundle = bundle[end:]
    return leaves


def check_tiles(read, key):
    """`read` gives the bytes at a path below the log's prefix, or raises Wrong."""
    size, root = open_checkpoint(read("checkpoint"), key)
    require(size < 1 << 40, "no folder holds so many tiles")
    hashes = []
    for index, width in tiles_of(size, 0):
        leaves = split_bundle(read(tile_path("entries", index, width)))
        require(len(leaves) == width, "a bundle has another number of leaves")
        computed = [leaf_hash(leaf) for leaf in leaves]
        require(read(tile_path(0, index, width)) == b"".join(computed), "a tile is not its leaves' hashes")
        hashes += computed
    require(tree_hash(hashes) == root, "the tiles are not those of the checkpoint")
    level = 1
    while size >> (8 * level):
        hashes = [tree_hash(hashes[start : start + FULL]) for start in range(0, len(hashes) // FULL * FULL, FULL)]
        for index, width in tiles_of(size, level):
            expected = b"".join(hashes[index * FULL : index * FULL + width])
            require(read(tile_path(level, index, width)) == expected, "a tile is not its children's hashes")
        level += 1
    return size, root


def from_folder(folder):
    def read(path):
        try:
            with open(os.path.join(folder, path), "rb") as file:
                return file.read()
        except OSError as error:
            raise Wrong(str(error)) from error

    return read


def from_parts(parts):
    files = {parts[n].decode(): parts[n + 1] for n in range(0, len(parts), 2)}

    def read(path):
        require(path in files, f"no {path}")
        return files[path]

    return read


# Many cases at once: a letter, the number of parts, each part behind its length; one character a case is answered


def batch():
    source, answers = sys.stdin.buffer, sys.stdout
    key = None
    while True:
        kind = source.read(1)
        if not kind:
            break
        parts = []
        for _ in range(int.from_bytes(source.read(2), "big")):
            parts.append(source.read(int.from_bytes(source.read(4), "big")))
        try:
            if kind == b"K":
                key = Key(parts[0].decode(), 1)
            elif kind == b"N":
                open_checkpoint(parts[0], key)
            elif kind == b"E":
                check_export(parts[0], parts[1], key)
            elif kind == b"P":
                check_proof(parts[0], parts[1], key)
            elif kind == b"C":
                check_growth(parts[0], parts[1], key)
            elif kind == b"T":
                check_tiles(from_parts(parts), key)
            else:
                sys.exit(f"no such case: {kind}")
            answers.write("1")
        except Wrong:
            answers.write("0")
    answers.write(f"\n{OPENSSL.calls} calls of openssl\n")


def content(path):
    with open(path, "rb") as file:
        return file.read()


def main(arguments):
    try:
        match arguments:
            case ["export", export, note, vkey]:
                size, root = check_export(content(export), content(note), Key(vkey, 1))
                print(f"ok: {size} entries, root {base64.b64encode(root).decode()}")
            case ["tiles", folder, vkey]:
                size, root = check_tiles(from_folder(folder), Key(vkey, 1))
                print(f"ok: {size} entries, root {base64.b64encode(root).decode()}")
            case ["proof", proof, vkey, *line]:
                line = content(line[0]).removesuffix(b"\n") if line else None
                index, size = check_proof(content(proof), line, Key(vkey, 1))
                print(f"ok: entry {index} of {size}")
            case ["cosigned", note, vkey, witness]:
                size, _ = open_checkpoint(content(note), Key(vkey, 1))
                time = check_cosigned(content(note), Key(witness, 4))
                print(f"ok: {size} entries, co-signed at {time}")
            case ["batch"]:
                batch()
            case _:
                sys.exit(__doc__)
    except Wrong as wrong:
        sys.exit(f"wrong: {wrong}")


if __name__ == "__main__":
    main(sys.argv[1:])
