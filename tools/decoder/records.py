"""What tl keeps in the DHT, written from schemas/records.md alone."""
import hashlib
import ipaddress

from dht import bencoded, whole
from event import LaterVersion, Malformed


def swarm(person):
    return hashlib.sha1(b"tl/swarm/1" + person).hexdigest()


def name(text):
    # Python's lower() of a whole word treats a final sigma apart; of a single letter it does not.
    return hashlib.sha1(b"tl/name/1" + "".join(letter.lower() for letter in text).encode()).hexdigest()


class Reader:
    def __init__(self, value):
        if len(value) > 460:
            raise Malformed("too long")
        content, end = bencoded(value)
        if end != len(value) or not isinstance(content, bytes) or value != b"%d:%s" % (len(content), content):
            raise Malformed("no byte string")
        self.rest = content
        if self.number(1) != 1:
            raise LaterVersion("another version")

    def take(self, count):
        if len(self.rest) < count:
            raise Malformed("truncated")
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self, width, most=None):
        number = int.from_bytes(self.take(width), "big")
        if most is not None and number > most:
            raise Malformed("%d over %d" % (number, most))
        return number

    def endpoint(self):
        family = self.number(1)
        if family not in (4, 6):
            raise Malformed("family %d" % family)
        address = ipaddress.ip_address(self.take(4 if family == 4 else 16))
        if family == 6 and address.ipv4_mapped:
            raise Malformed("a mapped address")
        port = self.number(2)
        if port == 0:
            raise Malformed("port 0")
        return ("%s:%d" if family == 4 else "[%s]:%d") % (address, port)

    def end(self):
        if self.rest:
            raise Malformed("bytes after the last field")


def person(value):
    reader = Reader(value)
    record, size = reader.take(32).hex(), reader.number(4)
    devices = [reader.take(32).hex() for _ in range(reader.number(1, 8))]
    reader.end()
    return record, size, devices


def head(value):
    reader = Reader(value)
    fields = {"flags": reader.number(1), "sequence": str(reader.number(8, 1 << 48)), "hash": reader.take(32).hex()}
    fields["floor"] = str(reader.number(8, int(fields["sequence"])))
    fields["expires"] = str(reader.number(8, (1 << 63) - 1))
    fields["addresses"] = [reader.endpoint() for _ in range(reader.number(1, 4))]
    fields["replicas"] = [reader.take(8).hex() + " " + reader.endpoint() for _ in range(reader.number(1, 6))]
    reader.end()
    return fields


def kept(data):
    """Key, salt, number, signature and value of an item in a file; the value as it lies there."""
    fields = whole(data)
    if list(fields) != [b"k", b"salt", b"seq", b"sig", b"v"] or len(data) > 1280:
        raise Malformed("other fields")
    value = data[data.index(b"1:v", data.index(b"3:sig64:") + 72) + 3 : -1]
    return fields[b"k"].hex(), fields[b"salt"].decode(), str(fields[b"seq"]), fields[b"sig"].hex(), value.hex()
