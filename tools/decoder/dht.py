"""What of the DHT is ours on the wire and on disk, written from schemas/dht.md alone."""
import hashlib
import hmac

import cbor
import codes
from event import Malformed


def bencoded(data, at=0):
    """A value and where it ends."""
    kind = data[at : at + 1]
    try:
        if kind == b"i":
            end = data.index(b"e", at)
            return int(data[at + 1 : end]), end + 1
        if kind in (b"l", b"d"):
            parts, at = [], at + 1
            while data[at : at + 1] != b"e":
                part, at = bencoded(data, at)
                parts.append(part)
            return (parts if kind == b"l" else dict(zip(parts[::2], parts[1::2]))), at + 1
        colon = data.index(b":", at)
        end = colon + 1 + int(data[at:colon])
    except ValueError as error:
        raise Malformed(str(error)) from error
    if end > len(data):
        raise Malformed("truncated")
    return data[colon + 1 : end], end


def whole(data):
    value, end = bencoded(data)
    if end != len(data) or not isinstance(value, dict):
        raise Malformed("not one dictionary")
    return value


def untagged(packet, key):
    """A packet of a private network as it is without its tag; refused if the tag is not the key's."""
    tag = whole(packet).get(b"tn")
    if not isinstance(tag, bytes) or len(tag) != 8:
        raise Malformed("no tag")
    place = packet.index(b"2:tn8:" + tag)
    bare = packet[:place] + packet[place + 14 :]
    if hmac.new(key, bare, hashlib.sha256).digest()[:8] != tag:
        raise Malformed("the tag of another network")
    return bare


def saved(data):
    """The id and the contacts that a node keeps, as (id, address, port)."""
    if len(data) > 32768:
        raise Malformed("too long")
    fields = whole(data)
    if len(fields.get(b"id", b"")) != 20:
        raise Malformed("no id")
    contacts = []
    for name, width in ((b"nodes", 26), (b"nodes6", 38)):
        for entry in fields.get(name, []):
            if len(entry) == width and entry[-2:] != b"\0\0":
                contacts.append([entry[:20].hex(), entry[20:-2].hex(), int.from_bytes(entry[-2:], "big")])
    return fields[b"id"].hex(), contacts[:400]


def signed(salt, sequence, value):
    """What a mutable item signs, and where it lies for a key."""
    head = b"4:salt%d:%s" % (len(salt), salt) if salt else b""
    return head + b"3:seqi%de1:v" % sequence + value



def value(head, parts):
    """A value of ours from its head and a function that gives the immutable item of a hash: (expiry or None, bytes)."""
    content, end = bencoded(head)
    if end != len(head) or not isinstance(content, bytes) or content[:3] != b"tl\x01":
        raise Malformed("not a value of ours")
    kind, expires, body = content[3], int.from_bytes(content[4:8], "big"), content[8:]
    if kind == 0:
        return expires or None, body
    if kind not in (1, 2) or len(body) < 56 or (len(body) - 36) % 20:
        raise Malformed("kind or manifest")
    hashes = [body[at : at + 20] for at in range(36, len(body), 20)]

    def item(name):
        if hashlib.sha1(parts(name)).digest() != name:
            raise Malformed("an item under another hash")
        return bencoded(parts(name))[0]

    if kind == 2:
        listed = b"".join(map(item, hashes))
        hashes = [listed[at : at + 20] for at in range(0, len(listed), 20)]
    made = b"".join(map(item, hashes))
    if len(made) != int.from_bytes(body[:4], "big") or codes.blake2b(made) != body[4:36]:
        raise Malformed("the parts do not make up the value")
    return expires or None, made


def salt(space, name):
    return codes.blake2b(b"tl-%s-v1\0" % space.encode() + name)[:20]


def network(data):
    """A profile's network: its key or None for Mainline, its id, and where to begin."""
    if not 5 < len(data) <= 4096 or codes.blake2b(data[:-4])[:4] != data[-4:] or data[0] != 1:
        raise Malformed("checksum, version or length")
    fields = cbor.parse(data[1:-4])
    if fields.get(0) == 0 and set(fields) == {0, 1, 2} and len(fields[1]) == 32:
        key = fields[1]
    elif fields.get(0) == 1 and set(fields) == {0, 2}:
        key = None
    else:
        raise Malformed("fields of a network")
    if len(fields[2]) > 8:
        raise Malformed("too many addresses")
    return key and key.hex(), key and codes.blake2b(b"tl-network-v1\0" + key)[:8].hex(), fields[2]
