"""People: records of signed statements, node statements, tickets (schemas/person.md, schemas/ticket.md)."""
import cbor
import codes
from event import SEQUENCE_MAXIMUM, LaterVersion, Malformed

STATEMENT_BYTES = 512
STATEMENTS = 4096
KIND_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
OTHER_DOMAINS = ("event", "node", "consent", "deposit")
RANKS = {"revoke": 0, "certify": 1}


def person_id(root, recovery):
    return codes.blake2b(b"tl-person-v1\0" + root + recovery)


def parse(data):
    try:
        return cbor.parse(data)
    except cbor.Malformed as error:
        raise Malformed(str(error)) from None


def require(condition, reason):
    if not condition:
        raise Malformed(reason)


def is_bytes(value, count):
    return type(value) is bytes and len(value) == count


def is_number(value, low, high):
    return type(value) is int and low <= value <= high


def signed_by(key, signature, kind, person, body):
    """Statements are signed over "tl-KIND-v1", a zero byte, the person id and the body."""
    return codes.verify(key, signature, person + body, kind)


class Statement:
    def __init__(self, value):
        require(type(value) is list and len(value) == 3, "a statement is kind, body, signature")
        self.kind, self.body, self.signature = value
        require(type(self.kind) is str and 1 <= len(self.kind) <= 16 and set(self.kind) <= KIND_LETTERS, "no kind")
        require(self.kind not in OTHER_DOMAINS, "a kind that signs something else")
        require(type(self.body) is bytes and is_bytes(self.signature, 64), "no body and signature")
        self.bytes = cbor.encode(value)
        require(len(self.bytes) <= STATEMENT_BYTES, "a statement over %d bytes" % STATEMENT_BYTES)
        fields = parse(self.body)
        require(type(fields) is dict, "a body is a map")
        require(is_number(fields.get(0), 1, 2**32 - 1) and is_bytes(fields.get(1), 32), "no root")
        self.root = (fields[0], fields[1])
        self.fields = fields
        keys = {"rotate": 2, "certify": 6, "revoke": 5}.get(self.kind)
        require(set(fields) == set(range(keys)) if keys else is_bytes(fields.get(2), 32), "fields of " + self.kind)
        if self.kind == "rotate":
            require(self.root[0] >= 2, "rotate to number 1")
            self.subject = b""
        else:
            self.subject = fields[2]
            require(is_bytes(self.subject, 32), "no subject")
        if self.kind == "certify":
            require(is_number(fields[3], 0, 1023), "device number")
            require(type(fields[4]) is str and len(fields[4].encode("utf-8")) <= 128, "label")
            require(is_bytes(fields[5], 64), "consent")
        elif self.kind == "revoke":
            require(is_number(fields[3], 0, SEQUENCE_MAXIMUM) and is_bytes(fields[4], 32), "where it is revoked")

    @property
    def slot(self):
        """A record holds one statement for each."""
        return (self.root, self.kind, self.subject)

    @property
    def order(self):
        """Which are kept when there are more than a record may hold."""
        rotates = self.kind == "rotate"
        return (0 if rotates else 1, -self.root[0], self.root[1], RANKS.get(self.kind, 2) if not rotates else 0, self.kind,
                self.subject)

    def is_valid(self, person, recovery):
        if not signed_by(recovery if self.kind == "rotate" else self.root[1], self.signature, self.kind, person, self.body):
            return False
        if self.kind == "certify":
            return codes.verify(self.subject, self.fields[5], person, "consent")
        return self.kind != "revoke" or self.fields[3] > 0 or self.fields[4] == person


class Record:
    def __init__(self, data):
        fields = parse(data)
        require(type(fields) is dict and set(fields) == {0, 1, 2, 3}, "a record has four fields")
        if fields[0] != 1:
            raise LaterVersion("record version %s" % fields[0])
        require(is_bytes(fields[1], 32) and is_bytes(fields[2], 32) and type(fields[3]) is list, "no keys and statements")
        require(len(fields[3]) <= STATEMENTS, "too many statements")
        self._set(fields[1], fields[2], [Statement(value) for value in fields[3]])
        pairs = list(zip(self.statements, self.statements[1:]))
        require(all(a.bytes < b.bytes for a, b in pairs), "statements not in bytewise order")
        require(len({one.slot for one in self.statements}) == len(self.statements), "two statements for one slot")
        roots = {(1, self.first_root)} | {one.root for one in self.statements if one.kind == "rotate"}
        require(all(one.root in roots for one in self.statements), "a root that no rotation names")
        require(all(one.is_valid(self.id, self.recovery) for one in self.statements), "a signature that does not hold")

    def _set(self, first_root, recovery, statements):
        self.first_root, self.recovery, self.statements = first_root, recovery, statements
        self.id = person_id(first_root, recovery)

    @property
    def bytes(self):
        head = b"\xa4" + b"".join((cbor.encode(0), cbor.encode(1), cbor.encode(1), cbor.encode(self.first_root),
                                   cbor.encode(2), cbor.encode(self.recovery), cbor.encode(3)))
        values = [[one.kind, one.body, one.signature] for one in self.statements]
        return head + cbor.encode(values)

    @property
    def root(self):
        """The highest number, then the bytewise lower key."""
        roots = [(1, self.first_root)] + [one.root for one in self.statements if one.kind == "rotate"]
        return min(roots, key=lambda root: (-root[0], root[1]))

    @property
    def devices(self):
        """What the current root certifies, by key, with what it revoked."""
        mine = [one for one in self.statements if one.root == self.root]
        revoked = {one.subject: one for one in mine if one.kind == "revoke"}
        devices = []
        for one in sorted((one for one in mine if one.kind == "certify"), key=lambda one: one.subject):
            device = {"key": one.subject.hex(), "label": one.fields[4], "number": one.fields[3]}
            if one.subject in revoked:
                fields = revoked[one.subject].fields
                device.update(revokedAt=str(fields[3]), revokedHash=fields[4].hex())
            devices.append(device)
        return devices


def merge(records):
    """One record of all: the bytewise lowest statement of each slot."""
    kept = {}
    for record in records:
        require(record.id == records[0].id, "records of different people")
        for one in record.statements:
            if one.slot not in kept or one.bytes < kept[one.slot].bytes:
                kept[one.slot] = one
    first = sorted(kept.values(), key=lambda one: one.order)[:STATEMENTS]
    merged = Record.__new__(Record)
    merged._set(records[0].first_root, records[0].recovery, sorted(first, key=lambda one: one.bytes))
    return merged


def node_statement(data):
    """Node key, device key, person id, not after (ms since 1970); Malformed if the device's signature does not hold."""
    require(len(data) <= 256, "over 256 bytes")
    value = parse(data)
    require(type(value) is list and len(value) == 2 and type(value[0]) is bytes and is_bytes(value[1], 64), "form")
    fields = parse(value[0])
    require(type(fields) is dict and set(fields) == {0, 1, 2, 3}, "four fields")
    require(all(is_bytes(fields[key], 32) for key in (0, 1, 2)) and type(fields[3]) is int, "keys and time")
    require(codes.verify(fields[1], value[1], value[0], "node"), "a signature that does not hold")
    return fields[0], fields[1], fields[2], fields[3]


def ticket(text):
    """A ticket as the vectors list it, without its text."""
    require(text.lower().startswith("tl://"), "does not begin with tl://")
    try:
        data = codes.unbase32(text[5:])
    except ValueError as error:
        raise Malformed(str(error)) from None
    require(len(data) > 6 and codes.blake2b(data[:-4])[:4] == data[-4:], "the checksum does not hold")
    if data[0] != 1 or data[1] not in (1, 2, 3):
        raise LaterVersion("ticket of a later version or kind")
    fields = parse(data[2:-4])
    require(type(fields) is dict, "no map")
    if data[1] == 3:
        require(set(fields) == {0, 1, 2} and is_bytes(fields[0], 8) and is_bytes(fields[1], 32), "fields of a network ticket")
        require(codes.blake2b(b"tl-network-v1\0" + fields[1])[:8] == fields[0], "an id that is not the key's")
        return {"kind": "network", "network": fields[0].hex(), "key": fields[1].hex(), "addresses": fields[2]}
    require(is_bytes(fields.get(0), 32), "no person")
    if data[1] == 1:
        require(set(fields) in ({0, 1, 3}, {0, 1, 2, 3}) and type(fields[1]) is str, "fields of a person ticket")
        made = {"kind": "person", "person": fields[0].hex(), "name": fields[1], "addresses": fields[3]}
        if 2 in fields:
            require(is_bytes(fields[2], 32), "node key")
            made["node"] = fields[2].hex()
        return made
    require(set(fields) == {0, 1, 2, 3, 4} and is_bytes(fields[1], 32) and is_bytes(fields[3], 16), "fields of a join ticket")
    return {"kind": "join", "person": fields[0].hex(), "node": fields[1].hex(), "addresses": fields[2],
            "secret": fields[3].hex(), "notAfterMilliseconds": str(fields[4])}
