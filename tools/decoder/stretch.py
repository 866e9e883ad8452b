"""Consecutive events of one chunk: columns, the envelope around them, LZ4 blocks (schemas/stretch.md)."""
import codes
from event import HEADER_BYTES, SEQUENCE_MAXIMUM, Header, LaterVersion, Malformed

COUNT_MAXIMUM = 256
RAW_BYTES = 83_465
ABSENT = {1: "expired", 2: "deleted", 3: "policy", 4: "notHad"}
PROOFS = ("lastSignature", "everySignature", "neighbour", "revocation", "evidence")


def columns(raw, log, first, count, previous):
    """Headers and payloads (bytes, or the name of why one is absent) of a stretch."""
    try:
        return _columns(codes.Reader(raw), log, first, count, previous)
    except (Malformed, LaterVersion):
        raise
    except ValueError as error:
        raise Malformed(str(error)) from None


def _columns(reader, log, first, count, previous):
    if not 1 <= count <= COUNT_MAXIMUM or not 1 <= first <= SEQUENCE_MAXIMUM:
        raise Malformed("%d events from %d" % (count, first))
    first_id, place = reader.integer(8), reader.integer(1)
    if place + count > COUNT_MAXIMUM:
        raise Malformed("place over 255")
    kinds, flags, presence = reader.take(count), reader.take(count), reader.take(count)
    times, lows = [first_id >> 22], [first_id & (1 << 22) - 1]
    for _ in range(count - 1):
        times.append(_within(times[-1] + reader.zigzag(), 42))
    for _ in range(count - 1):
        lows.append(_within(lows[-1] + reader.zigzag(), 22))
    ttls = [_within(reader.varint(), 32) for _ in range(count)]
    lives, expected = [], first - 1
    for _ in range(count):
        lives.append(_within(expected + reader.zigzag(), 32))
        expected = lives[-1] + 1
    sizes = [_within(reader.varint(), 32) for _ in range(count)]
    if any(state != 0 and state not in ABSENT for state in presence):
        raise Malformed("unknown presence")
    hashes = [reader.take(32) if state else None for state in presence]
    payloads = [ABSENT[state] if state else reader.take(size) for state, size in zip(presence, sizes)]
    reader.end()

    headers = []
    for index in range(count):
        payload = payloads[index]
        payload_hash = codes.blake2b(payload) if isinstance(payload, bytes) else hashes[index]
        data = (
            bytes([1, kinds[index], flags[index], place + index]) + (first + index).to_bytes(8, "big")
            + (times[index] << 22 | lows[index]).to_bytes(8, "big") + log + previous + sizes[index].to_bytes(4, "big")
            + payload_hash + ttls[index].to_bytes(4, "big") + lives[index].to_bytes(4, "big"))
        assert len(data) == HEADER_BYTES
        headers.append(Header(data))
        previous = headers[-1].hash
    return headers, payloads


def _within(value, bits):
    if not 0 <= value < 1 << bits:
        raise Malformed("%d does not fit %d bits" % (value, bits))
    return value


class Envelope:
    """Place, proof and block of a stretch as it travels."""

    def __init__(self, data):
        try:
            self._read(codes.Reader(data))
        except (Malformed, LaterVersion):
            raise
        except ValueError as error:
            raise Malformed(str(error)) from None

    def _read(self, reader):
        if reader.integer(1) != 1:
            raise LaterVersion("stretch of a later version")
        form = reader.integer(1)
        if form & 0xC0 or form & 15 >= len(PROOFS):
            raise Malformed("form %d" % form)
        self.proof, self.compressed = PROOFS[form & 15], bool(form & 0x10)
        self.first, self.count = reader.varint(), reader.varint()
        if not 1 <= self.first <= SEQUENCE_MAXIMUM or not 1 <= self.count <= COUNT_MAXIMUM:
            raise Malformed("%d events from %d" % (self.count, self.first))
        self.previous = reader.take(8 if form & 0x20 else 32)
        signatures = {"lastSignature": 1, "everySignature": self.count}.get(self.proof, 0)
        self.signatures = [reader.take(64) for _ in range(signatures)]
        raw_bytes = reader.varint() if self.compressed else None
        if self.compressed and raw_bytes > RAW_BYTES:
            raise Malformed("raw length %d" % raw_bytes)
        block = reader.take(len(reader.data) - reader.at)
        if len(block) > RAW_BYTES and not self.compressed:
            raise Malformed("a block of %d bytes" % len(block))
        self.raw_bytes, self.block = raw_bytes, block

    @property
    def raw(self):
        """The columns; Malformed if the block does not give exactly as many bytes as it says."""
        return unpack(self.block, self.raw_bytes) if self.compressed else self.block


def unpack(block, size):
    """One LZ4 block of exactly `size` bytes (LZ4 block format, without frame or dictionary)."""
    reader, out = codes.Reader(block), bytearray()

    def length(nibble):
        total = nibble
        while nibble == 15:
            more = reader.integer(1)
            total += more
            if more != 255:
                break
        return total

    try:
        while True:
            token = reader.integer(1)
            out += reader.take(length(token >> 4))
            if len(out) > size:
                raise Malformed("more than %d bytes" % size)
            if reader.at == len(reader.data):
                break
            low = reader.take(2)
            offset = low[0] | low[1] << 8
            if not 1 <= offset <= len(out):
                raise Malformed("a match before the beginning")
            count = length(token & 15) + 4
            if len(out) + count > size:
                raise Malformed("more than %d bytes" % size)
            for _ in range(count):
                out.append(out[-offset])
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(str(error)) from None
    if len(out) != size:
        raise Malformed("%d bytes, not %d" % (len(out), size))
    return bytes(out)
