"""Deterministic CBOR (RFC 8949 §4.2.1) without tags, floats and undefined: the subset that schemas/ uses.

Every head is the shortest, every length definite, every text UTF-8, every map key in rising bytewise order of its encoding
and a plain value. Whatever else is refused. Values become int, bytes, str, list, dict, bool and None.
"""
DEPTH = 32


class Malformed(ValueError):
    """The bytes are no CBOR of this subset; says where."""


def parse(data, depth=DEPTH):
    """The one item that fills `data`; `depth` bounds the arrays and maps within each other."""
    value, end = item(data, 0, depth)
    if end != len(data):
        raise Malformed("%d bytes after the item at %d" % (len(data) - end, end))
    return value


def item(data, at, depth=DEPTH):
    """The item at an offset, and the offset after it."""
    major, argument, end = _head(data, at)
    if major == 0:
        return argument, end
    if major == 1:
        return -1 - argument, end
    if major in (2, 3):
        if argument > len(data) - end:
            raise Malformed("string at %d is cut off" % at)
        content = bytes(data[end:end + argument])
        if major == 2:
            return content, end + argument
        try:
            return content.decode("utf-8"), end + argument
        except UnicodeDecodeError:
            raise Malformed("text at %d is not UTF-8" % at) from None
    if major == 7:
        return {20: False, 21: True, 22: None}[argument], end
    if depth == 0:
        raise Malformed("nested too deep at %d" % at)
    if argument > len(data) - end:
        raise Malformed("more items at %d than bytes" % at)
    if major == 4:
        values = []
        for _ in range(argument):
            value, end = item(data, end, depth - 1)
            values.append(value)
        return values, end
    fields, last = {}, None
    for _ in range(argument):
        start = end
        key, end = item(data, end, depth - 1)
        encoded = bytes(data[start:end])
        if isinstance(key, (list, dict)):
            raise Malformed("container as map key at %d" % start)
        if last is not None and encoded <= last:
            raise Malformed("map key at %d not above the one before" % start)
        last = encoded
        # True == 1 in Python; the type keeps such keys apart.
        fields[key if type(key) is not bool else ("bool", key)], end = item(data, end, depth - 1)
    return fields, end


def _head(data, at):
    if at >= len(data):
        raise Malformed("cut off at %d" % at)
    major, low = data[at] >> 5, data[at] & 31
    if major == 6:
        raise Malformed("tag at %d" % at)
    if major == 7:
        if low not in (20, 21, 22):
            raise Malformed("float or simple value at %d" % at)
        return major, low, at + 1
    if low < 24:
        return major, low, at + 1
    if low > 27:
        raise Malformed("indefinite or reserved length at %d" % at)
    size = 1 << (low - 24)
    end = at + 1 + size
    if end > len(data):
        raise Malformed("cut off at %d" % len(data))
    argument = int.from_bytes(data[at + 1:end], "big")
    if argument < (24, 1 << 8, 1 << 16, 1 << 32)[low - 24]:
        raise Malformed("longer than needed at %d" % at)
    return major, argument, end


def encode(value):
    """The only encoding of a value."""
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _write(0, value) if value >= 0 else _write(1, -1 - value)
    if isinstance(value, (bytes, bytearray)):
        return _write(2, len(value)) + bytes(value)
    if isinstance(value, str):
        return _write(3, len(value.encode("utf-8"))) + value.encode("utf-8")
    if isinstance(value, list):
        return _write(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, dict):
        pairs = sorted((encode(key[1] if isinstance(key, tuple) else key), encode(field)) for key, field in value.items())
        return _write(5, len(value)) + b"".join(key + field for key, field in pairs)
    raise TypeError(type(value))


def _write(major, argument):
    if argument < 24:
        return bytes([major << 5 | argument])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return bytes([major << 5 | code]) + argument.to_bytes(size, "big")
    raise ValueError("%d does not fit 64 bits" % argument)
