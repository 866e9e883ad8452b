"""Files that hold keys: plain, sealed by a passphrase, and the recovery key as text (schemas/keystore.md)."""
import ctypes
import ctypes.util

import cbor
import codes
from event import LaterVersion, Malformed

KINDS = {1: "device", 2: "root", 3: "recovery", 4: "node", 5: "backup", 6: "session"}


class KeyFile:
    """kind, is_sealed, public (the fields of the public part), secret (None while sealed and no passphrase is given)."""

    def __init__(self, data, passphrase=None):
        reader = codes.Reader(data)
        try:
            if reader.take(4) != b"tlkf":
                raise Malformed("no key file")
            if reader.integer(1) != 1:
                raise LaterVersion("key file of a later version")
            kind, form = reader.integer(1), reader.integer(1)
            if kind not in KINDS or form > 1:
                raise LaterVersion("kind or form of a later version")
            self.kind, self.is_sealed = KINDS[kind], form == 1
            public = reader.take(reader.integer(2))
            self.public = cbor.parse(public) if public else {}
            if form == 0:
                secret = reader.take(len(data) - reader.at - 16)
                if codes.blake2b(data[:reader.at])[:16] != reader.take(16):
                    raise Malformed("the checksum does not hold")
                self.secret = secret
                return
            self.memory_kibibytes, self.passes = reader.integer(4), reader.integer(4)
            salt, nonce = reader.take(16), reader.take(24)
            associated, ciphertext = data[:reader.at], data[reader.at:]
            self.secret = None
            if passphrase is not None:
                self.secret = unseal(ciphertext, associated, nonce, salt, passphrase, self.passes, self.memory_kibibytes)
        except (Malformed, LaterVersion):
            raise
        except ValueError as error:
            raise Malformed(str(error)) from None


def unseal(ciphertext, associated, nonce, salt, passphrase, passes, kibibytes):
    """XChaCha20-Poly1305 under Argon2id (version 1.3, one lane). Python has neither, so libsodium does it."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    if sodium.sodium_init() < 0:
        raise OSError("libsodium does not start")
    key = ctypes.create_string_buffer(32)
    code = sodium.crypto_pwhash(
        key, ctypes.c_ulonglong(32), passphrase, ctypes.c_ulonglong(len(passphrase)), salt, ctypes.c_ulonglong(passes),
        ctypes.c_size_t(kibibytes * 1024), ctypes.c_int(2))
    if code != 0:
        raise OSError("no memory for Argon2id")
    plain = ctypes.create_string_buffer(max(1, len(ciphertext) - 16))
    code = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
        plain, None, None, ciphertext, ctypes.c_ulonglong(len(ciphertext)), associated, ctypes.c_ulonglong(len(associated)),
        nonce, key)
    if code != 0:
        raise Malformed("the passphrase does not open it")
    return plain.raw[:len(ciphertext) - 16]


def recovery_text(text):
    """Person id and seed."""
    lines = text.split("\n")
    if lines[0].rstrip(" \t\r") != "tl recovery key, version 1":
        raise Malformed("first line")
    digits = "".join(line for line in lines[1:] if not line.startswith("#"))
    for filler in " \t\r-":
        digits = digits.replace(filler, "")
    if len(digits) != 112:
        raise Malformed("%d characters" % len(digits))
    data = codes.unbase32(digits)
    if codes.blake2b(b"tl-recovery-v1\0" + data[:64])[:6] != data[64:]:
        raise Malformed("the checksum does not hold")
    return data[:32], data[32:64]
