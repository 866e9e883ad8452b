"""What peers say to each other: frames, messages, and the order of a session (schemas/peer.md)."""
import cbor
import codes
from event import SEQUENCE_MAXIMUM, LaterVersion, Malformed
from stretch import Envelope, unpack

LENGTH_MAXIMUM = 1_048_640
RUN_RAW = 1_048_576
NAMES = (None, "hello", "statement", "interests", "digest", "digest-next", "record-want", "record", "want", "run", "end",
         "evidence-want", "evidence", "done", "bye", "join", "joined", "alive", "find",
         "found", "dial-back", "dialled")


def require(condition, reason):
    if not condition:
        raise Malformed(reason)


def is_bytes(value, count):
    return type(value) is bytes and len(value) == count


def is_number(value, maximum=2**64 - 1):
    return type(value) is int and 0 <= value <= maximum


def message(frame):
    """Name and fields of the one message in a frame; (None, None) for one that is to be stepped over."""
    try:
        reader = codes.Reader(frame)
        length = reader.integer(4)
        require(1 <= length <= LENGTH_MAXIMUM, "a length of %d" % length)
        kind = reader.integer(1)
        body = reader.take(length - 1)
        reader.end()
        if not 1 <= kind < len(NAMES):
            return None, None
        return NAMES[kind], BODIES[kind](body)
    except LaterVersion:
        raise
    except ValueError as error:
        raise Malformed(str(error)) from None


def _array(body, count):
    value = cbor.parse(body)
    require(type(value) is list and len(value) == count, "no array of %d" % count)
    return value


def _persons(data, maximum):
    require(type(data) is bytes and len(data) % 32 == 0 and len(data) // 32 <= maximum, "no list of persons")
    return [data[at:at + 32].hex() for at in range(0, len(data), 32)]


def _name(reader):
    """8 or 32 bytes of a log's key."""
    form = reader.integer(1)
    require(form <= 1, "a name of form %d" % form)
    return reader.take(32 if form else 8).hex()


def _sequence(value):
    require(value <= SEQUENCE_MAXIMUM, "sequence %d" % value)
    return value


def _packed(data, maximum, entry):
    """Entries one behind the other, until the bytes end."""
    require(type(data) is bytes, "no bytes")
    reader, entries = codes.Reader(data), []
    while reader.at < len(reader.data):
        require(len(entries) < maximum, "more than %d entries" % maximum)
        entries.append(entry(reader))
    return entries


def _hello(body):
    fields = cbor.parse(body, depth=33)  # the map itself, and 32 in the value of a key
    require(type(fields) is dict and len(fields) <= 64 and all(is_number(key) for key in fields), "no map of numbers")
    require(is_number(fields.get(1)) and is_number(fields.get(3)), "no version or change number")
    require(all(is_bytes(fields.get(key), 8) for key in (2, 4, 5)), "no instance, cookie or interests")
    cursor = fields.get(6, False)
    if cursor is not False:
        require(type(cursor) is list and len(cursor) == 3 and is_bytes(cursor[0], 8) and is_number(cursor[1])
                and is_bytes(cursor[2], 8), "no cursor")
        cursor = [cursor[0].hex(), str(cursor[1]), cursor[2].hex()]
    require(type(fields.get(9, False)) is bool, "no boolean under key 9")
    for key in (7, 8):
        require(key not in fields or is_bytes(fields[key], 8), "no hash under key %d" % key)
    return {
        "version": str(fields[1]), "instance": fields[2].hex(), "number": str(fields[3]), "cookie": fields[4].hex(),
        "interests": fields[5].hex(), "cursor": cursor or None,
        "knownInterests": fields[7].hex() if 7 in fields else None,
        "knownStatement": fields[8].hex() if 8 in fields else None, "stands": fields.get(9, False)}


def _statement(body):
    require(len(body) <= 512, "a statement of %d bytes" % len(body))
    return {"statement": body.hex()}


def _interests(body):
    more, persons = _array(body, 2)
    require(type(more) is bool, "more is no boolean")
    return {"more": more, "persons": _persons(persons, 16_384)}


def _digest(body):
    tier, persons, logs, following, number, cookie = _array(body, 6)
    require(is_number(tier, 1), "no tier")
    require(following is None or is_number(following), "no next")
    require(is_number(number) and is_bytes(cookie, 8), "no mark")

    def log(reader):
        state = reader.integer(1)
        require(state <= 1, "state %d" % state)
        return [state, _name(reader), str(_sequence(reader.varint())), reader.take(8).hex()]

    return {
        "tier": tier, "persons": _packed(persons, 4_096, lambda reader: [reader.take(8).hex(), reader.take(8).hex()]),
        "logs": _packed(logs, 4_096, log), "next": None if following is None else str(following), "number": str(number),
        "cookie": cookie.hex()}


def _empty(body):
    require(not body, "not empty")
    return {}


def _part(more, part):
    require(type(more) is bool and type(part) is bytes and len(part) <= 524_288, "no part of a record")
    return {"more": more, "part": part.hex()}


def _record(body):
    person, more, part = _array(body, 3)
    require(is_bytes(person, 32), "no person")
    return {"person": person.hex(), **_part(more, part)}


def _want(body):
    first, budget, items = _array(body, 3)
    require(is_number(first) and (budget is None or is_number(budget)), "no number or budget")

    def item(reader):
        name, to, rest = _name(reader), _sequence(reader.varint()), reader.varint()
        require(rest >> 1 < to, "a range that begins below 1")
        return [name, str(to - (rest >> 1)), str(to), rest & 1 == 1]

    items = _packed(items, 4_096, item)
    require(first + len(items) < 2**32, "a number over 32 bits")
    lowest = {}
    for name, low, high, _ in items:
        require(int(high) < lowest.get(name, 2**64), "ranges of one log that overlap, or are not newest first")
        lowest[name] = int(low)
    return {"first": str(first), "bytes": None if budget is None else str(budget), "items": items}


def _run(body):
    reader = codes.Reader(body)
    flags = reader.integer(1)
    require(flags <= 1, "flags %d" % flags)
    rest = body[1:]
    if flags:
        size = reader.varint()
        require(1 <= size <= RUN_RAW, "an unpacked length of %d" % size)
        rest = unpack(body[reader.at:], size)
    reader, stretches = codes.Reader(rest), []
    while reader.at < len(rest):
        number = reader.varint()
        require(number < 2**32, "a number over 32 bits")
        envelope = reader.take(reader.varint())
        # Of a later version nothing is known; the rest of the run stands.
        if not envelope or envelope[0] > 1:
            continue
        Envelope(envelope)
        stretches.append([str(number), envelope.hex()])
    return {"stretches": stretches}


def _end(body):
    reader, ends, last = codes.Reader(body), [], -1
    while reader.at < len(body):
        number, code = reader.varint(), reader.integer(1)
        require(last < number < 2**32 and code <= 3 and len(ends) < 4_096, "no end of want %d" % number)
        ends.append([str(number), code])
        last = number
    return {"ends": ends}


def _evidence(body):
    require(32 <= len(body) <= 32 + 140_000, "%d bytes" % len(body))
    return {"log": body[:32].hex(), "proof": body[32:].hex()}


def _bye(body):
    code = cbor.parse(body)
    require(is_number(code), "no number")
    return {"code": code if code <= 5 else 5}


def _join(body):
    secret, device, label, consent = _array(body, 4)
    require(is_bytes(secret, 16) and is_bytes(device, 32) and is_bytes(consent, 64), "no secret, device or consent")
    require(type(label) is str and len(label.encode("utf-8")) <= 128, "no label")
    return {"secret": secret.hex(), "device": device.hex(), "label": label, "consent": consent.hex()}


def _text(value, least=0):
    require(type(value) is str and least <= len(value.encode("utf-8")) <= 128, "no name")
    return value


def _find(body):
    return {"name": _text(cbor.parse(body), 1)}


def _found(body):
    persons = cbor.parse(body)
    require(type(persons) is list and len(persons) <= 64, "no list of persons")
    for entry in persons:
        require(type(entry) is list and len(entry) == 2 and is_bytes(entry[0], 32), "no person")
        _text(entry[1])
    return {"persons": [[person.hex(), name] for person, name in persons]}


def _dial_back(body):
    port = cbor.parse(body)
    require(is_number(port, 65_535) and port > 0, "no port")
    return {"port": port}


def _dialled(body):
    outcome = cbor.parse(body)
    require(is_number(outcome), "no outcome")
    return {"outcome": outcome if outcome <= 2 else 0}


BODIES = (
    None, _hello, _statement, _interests, _digest, _empty, lambda body: {"persons": _persons(body, 4_096)}, _record, _want,
    _run, _end, lambda body: {"logs": _packed(body, 1_024, _name)}, _evidence, _empty, _bye, _join,
    lambda body: _part(*_array(body, 2)), _empty, _find, _found, _dial_back, _dialled)

FAULT, VERSION = 2, 1


class Answerer:
    """A node that was dialled, holds nothing, is interested in nobody and never met the other. `hear` gives the farewell
    that a message brings, or None."""

    def __init__(self):
        self.greeting, self.ended = None, False
        self.has_statement = self.has_digest = False
        self.interests, self.all_interests = [], False
        self.next_want = 0

    def hear(self, name, fields):
        if name is None or self.ended:
            return None
        if self.greeting is None:
            if name == "bye":
                self.ended = True
                return None
            if name == "find":  # it holds nobody, and goes on listening
                return None
            if name != "hello":
                return FAULT
            if fields["version"] != "1":
                return VERSION
            self.greeting = fields
            return None
        # It wants nothing, and its own digest has one page.
        if name in ("hello", "join", "joined", "record", "evidence", "run", "end", "digest-next", "alive", "find",
                    "found", "dial-back", "dialled"):
            return FAULT
        return getattr(self, "_" + name.replace("-", "_"), lambda fields: None)(fields)

    def _statement(self, _):
        if self.has_statement:
            return FAULT
        self.has_statement = True

    def _interests(self, fields):
        if self.all_interests:
            return None
        self.interests += fields["persons"]
        if len(self.interests) > 100_000:
            return FAULT
        if fields["more"]:
            return None
        self.all_interests = True
        found = codes.blake2b(b"".join(map(bytes.fromhex, self.interests)))[:8].hex()
        rises = all(a < b for a, b in zip(self.interests, self.interests[1:]))
        return None if rises and found == self.greeting["interests"] else FAULT

    def _digest(self, fields):
        if self.has_digest or fields["next"] is not None and not fields["persons"] and not fields["logs"]:
            return FAULT
        self.has_digest = fields["next"] is None

    def _want(self, fields):
        if int(fields["first"]) != self.next_want:
            return FAULT
        self.next_want += len(fields["items"])

    def _bye(self, _):
        self.ended = True
