"""The event: header, chain rules, contents, expiry (schemas/event.md, schemas/event.cddl)."""
import cbor
import codes

HEADER_BYTES = 128
PAYLOAD_BYTES = 65_536
CHUNK_BYTES = 32_768
SEQUENCE_MAXIMUM = 1 << 48
SALT_BYTES = 8
ID_EPOCH = 1_704_067_200_000  # 2024-01-01T00:00:00Z, in ms since 1970
KINDS = {1: "post", 2: "follow", 3: "unfollow", 4: "delete", 5: "profile", 6: "message", 7: "carry"}
DEPTH = 32
FIELDS_MAXIMUM = 64
CARRIED = ("post", "delete", "profile")
CARRY_BYTES = 16_384


class Malformed(ValueError):
    """Bytes that the schema does not allow."""


class LaterVersion(ValueError):
    """A version that this reader does not know; nobody is at fault."""


class Header:
    """The 128 signed bytes, big endian."""

    def __init__(self, data):
        if len(data) != HEADER_BYTES:
            raise Malformed("a header of %d bytes" % len(data))
        if data[0] != 1:
            raise LaterVersion("event version %d" % data[0])
        self.bytes = bytes(data)
        reader = codes.Reader(data, 1)
        self.kind, self.flags, self.place = reader.integer(1), reader.integer(1), reader.integer(1)
        self.sequence, self.id = reader.integer(8), reader.integer(8)
        self.log, self.previous = reader.take(32), reader.take(32)
        self.payload_bytes, self.payload_hash = reader.integer(4), reader.take(32)
        self.ttl, self.live = reader.integer(4), reader.integer(4)
        reader.end()

    @property
    def hash(self):
        return codes.blake2b(self.bytes)

    @property
    def floor(self):
        """The lowest sequence number that the author still vouches for."""
        return max(1, self.sequence - self.live)

    @property
    def time(self):
        """Of appending, in ms since 1970."""
        return id_parts(self.id)[0]

    def is_signed(self, signature):
        return codes.verify(self.log, signature, self.bytes, "event")

    def matches(self, payload):
        return len(payload) == self.payload_bytes and codes.blake2b(payload) == self.payload_hash

    def is_expired(self, now):
        return self.ttl > 0 and self.time + self.ttl * 1000 + 60_000 < now


def id_parts(value):
    """Time in ms since 1970, device number, counter."""
    return (value >> 22) + ID_EPOCH, value >> 12 & 1023, value & 4095


class Judge:
    """The rules of the header, in their order; `judge` names the one that a header breaks, or gives None and moves on.

    Starts anywhere: rules between two headers hold from the second on, the rule over a chunk once its place 0 was seen.
    """

    def __init__(self, person=None):
        self.person, self.last, self.chunk = person, None, None

    def judge(self, header):
        broken = self._alone(header) or (self._after(header) if self.last else None)
        if broken:
            return broken
        if header.place == 0:
            chunk = header.payload_bytes
        elif self.chunk is not None:
            chunk = self.chunk + header.payload_bytes
            if chunk > CHUNK_BYTES:
                return "chunkBytes"
        else:
            chunk = None
        self.last, self.chunk = header, chunk
        return None

    def _alone(self, header):
        if not 1 <= header.sequence <= SEQUENCE_MAXIMUM:
            return "sequence"
        if header.id >> 63:
            return "id"
        if header.payload_bytes > PAYLOAD_BYTES:
            return "payloadBytes"
        if header.live > header.sequence - 1:
            return "live"
        if header.sequence == 1 and header.place != 0:
            return "place"
        # The person id stands before sequence 1 and nowhere else.
        if self.person is not None and (header.sequence == 1) != (header.previous == self.person):
            return "origin"
        return None

    def _after(self, header):
        if header.sequence != self.last.sequence + 1:
            return "sequence"
        if header.id <= self.last.id:
            return "id"
        if header.place not in (0, self.last.place + 1):
            return "place"
        if header.live > self.last.live + 1:
            return "live"
        return None


def content(kind, payload):
    """What a payload says, as a dictionary; None for a kind without a known content. Malformed if the schema refuses it."""
    name = KINDS.get(kind)
    if name not in CONTENTS:
        return None
    if len(payload) < SALT_BYTES:
        raise Malformed("no salt")
    try:
        # The value of a key counts as the first level, so the outermost map is one more.
        fields = cbor.parse(payload[SALT_BYTES:], DEPTH + 1)
    except cbor.Malformed as error:
        raise Malformed(str(error)) from None
    if not isinstance(fields, dict) or not all(type(key) is int and key >= 0 for key in fields):
        raise Malformed("not a map with unsigned keys")
    if len(fields) > FIELDS_MAXIMUM:
        raise Malformed("more than %d fields" % FIELDS_MAXIMUM)
    return CONTENTS[name](fields)


def _post(fields):
    return {
        "text": _text(fields, 1, 8192),
        "replyTo": _optional(fields, 2, _reference),
        "mentions": [_bytes32(item).hex() for item in _list(fields.get(3, []), 64)],
        "written": _optional(fields, 4, lambda value: str(_integer(value))),
        "source": _optional(fields, 5, _source),
    }


def _follow(fields):
    return {"person": _bytes32(fields.get(1)).hex(), "renews": _optional(fields, 2, _dot)}


def _unfollow(fields):
    dots = [_dot(item) for item in _list(fields.get(2, []), 512)]
    order = [(dot["log"], int(dot["seq"])) for dot in dots]
    if any(b <= a for a, b in zip(order, order[1:])):
        raise Malformed("dots not in rising order")
    return {"person": _bytes32(fields.get(1)).hex(), "dots": dots}


def _delete(fields):
    return {"target": _reference(fields.get(1))}


def _profile(fields):
    return {name: _text(fields, key, limit) if key in fields else None
            for name, key, limit in (("name", 1, 128), ("about", 2, 2048), ("link", 3, 2048))}


def _carry(fields):
    header_bytes, payload = fields.get(1), fields.get(2)
    if type(header_bytes) is not bytes or type(payload) is not bytes or len(payload) > CARRY_BYTES:
        raise Malformed("a carry is a header and a payload")
    try:
        header = Header(header_bytes)
    except LaterVersion as error:
        raise Malformed(str(error)) from None
    if KINDS.get(header.kind) not in CARRIED:
        raise Malformed("kind %d cannot be carried" % header.kind)
    if Judge().judge(header):
        raise Malformed("the carried header breaks a rule")
    if not header.matches(payload):
        raise Malformed("not the payload of the carried header")
    return {"header": header_bytes.hex(), "payload": payload.hex()}


CONTENTS = {"post": _post, "follow": _follow, "unfollow": _unfollow, "delete": _delete, "profile": _profile,
            "carry": _carry}


def _optional(fields, key, read):
    return read(fields[key]) if key in fields else None


def _text(fields, key, limit):
    value = fields.get(key)
    if type(value) is not str or len(value.encode("utf-8")) > limit:
        raise Malformed("field %d is no text of at most %d bytes" % (key, limit))
    return value


def _bytes32(value):
    if type(value) is not bytes or len(value) != 32:
        raise Malformed("not 32 bytes")
    return value


def _integer(value):
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise Malformed("not an integer of 64 bits")
    return value


def _list(value, limit, exactly=None):
    if type(value) is not list or len(value) > limit or (exactly and len(value) != exactly):
        raise Malformed("not a list of %s" % (exactly or "at most %d" % limit))
    return value


def _sequence(value):
    if type(value) is not int or not 1 <= value <= SEQUENCE_MAXIMUM:
        raise Malformed("not a sequence number")
    return str(value)


def _reference(value):
    log, sequence, event_hash = _list(value, 3, 3)
    return {"log": _bytes32(log).hex(), "seq": _sequence(sequence), "hash": _bytes32(event_hash).hex()}


def _dot(value):
    log, sequence = _list(value, 2, 2)
    return {"log": _bytes32(log).hex(), "seq": _sequence(sequence)}


def _source(value):
    feed, line = _list(value, 2, 2)
    if type(feed) is not str or len(feed.encode("utf-8")) > 2048:
        raise Malformed("not a feed")
    return {"feed": feed, "line": _bytes32(line).hex()}
