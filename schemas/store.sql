-- The store: one SQLite file per profile (application_id 0x746C6F67 "tlog", user_version 1), WAL, synchronous=FULL,
-- secure_delete=ON, auto_vacuum=INCREMENTAL, page_size 4096. Sources/Store/Schema.swift holds the same statements; a
-- test compares the two. Hashes and keys are 32 bytes, signatures 64, checksums 16. Unsigned 64-bit numbers are stored
-- by their bits. lid and pid are local row numbers of logs and persons and never leave the store.

-- instance: 8 random bytes made with the store, whose change numbers a cursor means
-- unclean: 1 from a writer's first change until it closes in order
-- nodeKey: the public half of the node key that belongs to this database; a node.key with another one is replaced
-- nodeStatement: what the device last signed about that key (schemas/person.md)
-- readModels: BLAKE2b-256 of the read models' statements; another value makes the store rebuild them
-- tables: BLAKE2b-256 of type, name, tbl_name and sql of each row of sqlite_schema that has sql, in order of name, all
--         joined by zero bytes; a store whose tables are others is damaged
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- record: the encoded person record (schemas/person.md); record_hash: its BLAKE2b-256, which is the row's checksum too
-- change: the person's newest change number
CREATE TABLE person(pid INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, record BLOB NOT NULL,
  record_hash BLOB NOT NULL, change INTEGER NOT NULL);

-- One row a log, with its top segment: the held events first…head, the hash of the head and the hash before the first.
-- Before the first event first and head are 0 and the hashes empty.
-- lower: how many further segments lie in `segment`
-- state: bits 0–1: 0 open, 1 frozen by evidence, 2 revoked; bit 2: there is a row in `suspect`
-- cut, cut_previous: frozen: the first sequence number beyond the log and the hash before it;
--                    revoked: the last good sequence number and its hash
-- want_head, want_hash: the newest head that a peer named and that is not held; 0 and NULL for none
-- change: the log's newest change number
CREATE TABLE log(lid INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, pid INTEGER NOT NULL,
  first INTEGER NOT NULL, head INTEGER NOT NULL, head_hash BLOB NOT NULL, previous BLOB NOT NULL,
  lower INTEGER NOT NULL, state INTEGER NOT NULL, cut INTEGER, cut_previous BLOB,
  want_head INTEGER NOT NULL, want_hash BLOB, change INTEGER NOT NULL);
CREATE INDEX log_pid ON log(pid);

-- The lower segments of a log with gaps. Two segments that touch but do not chain are a fork whose place is not known.
CREATE TABLE segment(lid INTEGER, first INTEGER, last INTEGER NOT NULL, previous BLOB NOT NULL,
  hash BLOB NOT NULL, PRIMARY KEY(lid, first)) WITHOUT ROWID;

-- Consecutive events of one of the author's chunks (schemas/stretch.md).
-- previous: the hash before the first event
-- signature: of the last event; NULL where the event above, evidence or a revocation vouches for it
-- raw_bytes: length of the columns before LZ4; 0 when block is the columns themselves
-- wanted_until: NULL unless a payload in it was not had (absence 4); then until when the longest-lived of those is asked
--           for, in ms since 1970: its id's time + ttl + 60 s, or 2^63 − 1 when it does not expire
-- checksum: first 16 bytes of BLAKE2b-256(log ‖ first u64 ‖ count u64 ‖ raw_bytes u64 ‖ signature length u64 ‖
--           wanted_until u64, 0 for NULL ‖ previous ‖ signature ‖ block), big endian
CREATE TABLE chunk(rowid INTEGER PRIMARY KEY, lid INTEGER NOT NULL, first INTEGER NOT NULL,
  count INTEGER NOT NULL, previous BLOB NOT NULL, signature BLOB, raw_bytes INTEGER NOT NULL,
  wanted_until INTEGER, checksum BLOB NOT NULL, block BLOB NOT NULL);
CREATE UNIQUE INDEX chunk_place ON chunk(lid, first);
CREATE INDEX chunk_wanted ON chunk(lid, first, count, wanted_until) WHERE wanted_until IS NOT NULL;

-- The events after the last closed chunk, each with its own signature. Log, previous and payload hash are derived.
-- previous: the hash before the event, at the start of each run of rows only
-- signature: NULL when it turned out false or was never had; verified: 0 until it was looked at
-- absence: 0 the payload is here, otherwise why not (schemas/stretch.md), and payload is its hash
-- wanted_until: as in chunk
-- checksum: first 16 bytes of BLAKE2b-256(log ‖ seq u64 ‖ id, kind, flags, place, ttl, live, payload_bytes, absence,
--           wanted_until as u64 each ‖ length of previous u64 ‖ length of signature u64 ‖ previous ‖ signature ‖ payload)
CREATE TABLE tail(lid INTEGER, seq INTEGER, previous BLOB, id INTEGER NOT NULL, kind INTEGER NOT NULL,
  flags INTEGER NOT NULL, place INTEGER NOT NULL, ttl INTEGER NOT NULL, live INTEGER NOT NULL,
  signature BLOB, verified INTEGER NOT NULL, absence INTEGER NOT NULL, wanted_until INTEGER,
  payload_bytes INTEGER NOT NULL, payload BLOB NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY(lid, seq)) WITHOUT ROWID;
CREATE INDEX tail_unverified ON tail(lid, seq) WHERE verified = 0;
CREATE INDEX tail_wanted ON tail(lid, seq, wanted_until) WHERE wanted_until IS NOT NULL;

-- The proof with the lowest cut that is known of a log (schemas/event.md). It is kept when a revocation outranks it.
CREATE TABLE evidence(lid INTEGER PRIMARY KEY, cut INTEGER NOT NULL, previous BLOB NOT NULL,
  bytes BLOB NOT NULL);

-- The lowest known piece of a branch that does not fit the log: headers from `first` to the next signature.
CREATE TABLE suspect(lid INTEGER PRIMARY KEY, first INTEGER NOT NULL, previous BLOB NOT NULL,
  headers BLOB NOT NULL, signature BLOB NOT NULL);

-- What delete events name: target log, sequence and hash; by which event (log lid, by_seq). Kept also when the target
-- is not here yet. It counts for targets of the same person, as long as the row is here.
CREATE TABLE deletion(key BLOB, seq INTEGER, lid INTEGER, by_seq INTEGER, hash BLOB NOT NULL,
  PRIMARY KEY(key, seq, lid, by_seq)) WITHOUT ROWID;
CREATE INDEX deletion_by ON deletion(lid, by_seq);

-- The newest change number of each log (lid) and person record (lid NULL); older numbers are gone. What changes
-- again may keep its number while no cursor was given out since it was taken: nobody was told of it yet.
CREATE TABLE change(n INTEGER PRIMARY KEY, pid INTEGER, lid INTEGER);

-- Which process gave out change numbers from `first` on; cookie: its 8 random bytes. The newest 4,096 are kept.
CREATE TABLE epoch(first INTEGER PRIMARY KEY, cookie BLOB NOT NULL);

-- What is remembered of a peer: how far its changes were seen (instance, n, cookie), for which interests, its device's
-- statement, and when it was last seen, in ms since 1970. own_interests: 8 bytes, the hash of our own interests when the
-- cursor was remembered.
CREATE TABLE peer(node BLOB PRIMARY KEY, instance BLOB NOT NULL, n INTEGER NOT NULL,
  cookie BLOB NOT NULL, interests_hash BLOB NOT NULL, interests BLOB, statement BLOB,
  last_seen INTEGER NOT NULL, own_interests BLOB NOT NULL) WITHOUT ROWID;
