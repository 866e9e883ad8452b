"""Small encodings and the two primitives that the formats are built on."""
import hashlib

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    def public_key(seed):
        """The Ed25519 public key of a 32-byte seed (RFC 8032 §5.1.5)."""
        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def _verify(key, signature, message):
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
            return True
        except (InvalidSignature, ValueError):
            return False
except ImportError:
    from nacl.exceptions import BadSignatureError
    from nacl.signing import SigningKey, VerifyKey

    def public_key(seed):
        """The Ed25519 public key of a 32-byte seed (RFC 8032 §5.1.5)."""
        return bytes(SigningKey(seed).verify_key)

    def _verify(key, signature, message):
        try:
            VerifyKey(key).verify(message, signature)
            return True
        except (BadSignatureError, ValueError):
            return False

ORDER = 2 ** 252 + 27742317777372353535851937790883648493  # of the Ed25519 base point, RFC 8032 §5.1
PRIME = 2 ** 255 - 19
CURVE = -121665 * pow(121666, -1, PRIME) % PRIME  # d of the curve, RFC 8032 §5.1
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def blake2b(data):
    """BLAKE2b-256 (RFC 7693), without key."""
    return hashlib.blake2b(data, digest_size=32).digest()


def _square_roots(value):
    """Both square roots modulo the prime (which is 5 modulo 8), or none."""
    root = pow(value, (PRIME + 3) // 8, PRIME)
    if root * root % PRIME != value % PRIME:
        root = root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    return [root, PRIME - root] if root * root % PRIME == value % PRIME else []


def _small_order():
    """The y of the eight points whose order divides 8: 1; -1; 0; and, doubled, 0, where y^4 d + 2 y^2 = 1."""
    inverse = pow(CURVE, -1, PRIME)
    squares = [(root - 1) * inverse % PRIME for root in _square_roots(1 + CURVE)]
    return {0, 1, PRIME - 1} | {y for square in squares for y in _square_roots(square)}


SMALL_ORDER = _small_order()


def verify(key, signature, message, domain=None):
    """Ed25519, over "tl-DOMAIN-v1" and a zero byte before the message when a domain is given.

    Strict: the equation without the cofactor, S below the order, and neither key nor R of small order or not reduced.
    """
    if len(key) != 32 or len(signature) != 64:
        return False
    if int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    for point in (key, signature[:32]):
        y = int.from_bytes(point, "little") & (1 << 255) - 1
        if y >= PRIME or y in SMALL_ORDER:
            return False
    prefix = b"" if domain is None else b"tl-" + domain.encode("ascii") + b"-v1\0"
    return _verify(bytes(key), bytes(signature), prefix + bytes(message))


def base32(data):
    """RFC 4648 §6, lower case, without padding."""
    bits = "".join("{:08b}".format(byte) for byte in data)
    bits += "0" * (-len(bits) % 5)
    return "".join(ALPHABET[int(bits[at:at + 5], 2)] for at in range(0, len(bits), 5))


def unbase32(text):
    """The bytes of a text; ValueError for anything but the canonical form in either case."""
    bits = "".join("{:05b}".format(ALPHABET.index(letter)) for letter in text.lower())
    whole = len(bits) // 8 * 8
    if len(bits) - whole >= 5 or "1" in bits[whole:]:
        raise ValueError("not canonical base32")
    return bytes(int(bits[at:at + 8], 2) for at in range(0, whole, 8))


def varint(value):
    """LEB128, without superfluous bytes."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """Reads bytes from front to back; ValueError at their end or for a form that is not the only one."""

    def __init__(self, data, at=0):
        self.data, self.at = bytes(data), at

    def take(self, count):
        if count > len(self.data) - self.at:
            raise ValueError("cut off at %d" % len(self.data))
        self.at += count
        return self.data[self.at - count:self.at]

    def integer(self, size):
        """Big endian."""
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        value, shift, start = 0, 0, self.at
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise ValueError("superfluous byte in the number at %d" % start)
                if value >> 64:
                    raise ValueError("number over 64 bits at %d" % start)
                return value
            shift += 7
            if shift > 63:
                raise ValueError("number over 64 bits at %d" % start)

    def zigzag(self):
        value = self.varint()
        return value >> 1 if value & 1 == 0 else -(value >> 1) - 1

    def end(self):
        if self.at != len(self.data):
            raise ValueError("%d bytes too many at %d" % (len(self.data) - self.at, self.at))
