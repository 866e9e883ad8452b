"""Proof that an author broke the rules of a log: a fork, or a signed header that no chain can hold (schemas/evidence.md)."""
import codes
from event import HEADER_BYTES, SEQUENCE_MAXIMUM, Header, Judge, LaterVersion, Malformed

BRANCH_MAXIMUM = 512


class Evidence:
    """kind, rule (of a rule break), cut and previous. Malformed for bytes that prove nothing about this log."""

    def __init__(self, data, log, person):
        try:
            self._read(codes.Reader(data), log, person)
        except (Malformed, LaterVersion):
            raise
        except ValueError as error:
            raise Malformed(str(error)) from None

    def _read(self, reader, log, person):
        if reader.integer(1) != 1:
            raise LaterVersion("evidence of a later version")
        kind = reader.integer(1)
        if kind == 1:
            one, other = _branch(reader, log), _branch(reader, log)
            reader.end()
            first, second = one[0], other[0]
            if (first.bytes == second.bytes or first.sequence != second.sequence
                    or not 1 <= first.sequence <= SEQUENCE_MAXIMUM
                    or first.sequence > 1 and first.previous != second.previous):
                raise Malformed("no fork")
            self.kind, self.rule, broken, self.cut = "fork", None, first, first.sequence
        elif kind == 2:
            branch = _branch(reader, log)
            reader.end()
            judge = Judge(person)
            verdicts = ((place, judge.judge(header)) for place, header in enumerate(branch))
            place, self.rule = next(((place, rule) for place, rule in verdicts if rule), (None, None))
            if place is None:
                raise Malformed("no rule is broken")
            self.kind, broken = "ruleBreak", branch[place]
            if place > 0:
                self.cut = branch[place - 1].sequence + 1
            elif broken.previous == person:
                self.cut = 1
            elif self.rule != "sequence":
                self.cut = broken.sequence
            else:
                raise Malformed("a place that cannot be told")
        else:
            raise Malformed("kind %d" % kind)
        self.previous = person if self.cut == 1 else broken.previous


def _branch(reader, log):
    """Linked headers of the log, the last of which is signed."""
    count = reader.integer(2)
    if not 1 <= count <= BRANCH_MAXIMUM:
        raise Malformed("%d headers in a branch" % count)
    try:
        headers = [Header(reader.take(HEADER_BYTES)) for _ in range(count)]
    except LaterVersion as error:
        raise Malformed(str(error)) from None
    signature = reader.take(64)
    if any(header.log != log for header in headers):
        raise Malformed("a header of another log")
    if any(header.previous != before.hash for before, header in zip(headers, headers[1:])):
        raise Malformed("headers that do not follow each other")
    if not headers[-1].is_signed(signature):
        raise Malformed("a bad signature")
    return headers
