-- The read models: made from the logs, and made again by `tl log rebuild`. They point at events by the local numbers of
-- store.sql (lid: the log's, pid: the person's) and sequence numbers, and hold no text of a post. Which events count at a
-- moment (not from the future, not expired) is judged when reading.

-- Posts that can be shown: readable, not deleted, of no unknown form.
-- at, id: the place in every timeline, (at, id, log key) being the order of (shown time, id, log key):
--   shown at the id's own time      at = the id                                                    id = 0
--   an own earlier date since 2024  at = milliseconds since 2024 << 22 | 4194303                   id = the id
--   an own date before 2024         at = milliseconds since 2024, negative                         id = the id
-- ttl: the event's, in seconds; parent: first 8 bytes, big endian, of the hash that a reply names, else NULL
-- Worked example: id 295630318673924096 was made at 2026-03-26T18:49:20.517Z. Shown then: (295630318673924096, 0).
-- Imported with the date 2024-01-01T00:00:00.001Z: (1 << 22 | 4194303 = 8388607, 295630318673924096). With the date
-- 2023-12-31T23:59:59.000Z: (-1000, 295630318673924096).
CREATE TABLE post(lid INTEGER, at INTEGER, id INTEGER, seq INTEGER NOT NULL, ttl INTEGER NOT NULL,
  parent INTEGER, PRIMARY KEY(lid, at, id)) WITHOUT ROWID;

-- Logs that have or had posts. newest: no less than the greatest `at` of them, so that logs can be left out or looked at
-- in a good order.
CREATE TABLE feed(pid INTEGER, lid INTEGER, newest INTEGER NOT NULL, PRIMARY KEY(pid, lid))
  WITHOUT ROWID;

-- Which posts reply to what; parent as in `post`. Eight bytes do not prove anything: the reply itself is looked at.
CREATE TABLE reply(parent INTEGER, lid INTEGER, seq INTEGER, PRIMARY KEY(parent, lid, seq))
  WITHOUT ROWID;

-- Follow events of person pid. dot: the original add that the event is or renews, as log key ‖ sequence u64.
-- A person follows a target when there is an add that counts and whose dot no unfollow of that person and target names.
CREATE TABLE follow(pid INTEGER, target BLOB, dot BLOB, lid INTEGER, seq INTEGER,
  id INTEGER NOT NULL, ttl INTEGER NOT NULL, PRIMARY KEY(pid, target, dot, lid, seq)) WITHOUT ROWID;
CREATE INDEX follow_target ON follow(target);

-- Unfollow events, a row for each dot they name.
CREATE TABLE unfollow(pid INTEGER, target BLOB, dot BLOB, lid INTEGER, seq INTEGER,
  id INTEGER NOT NULL, PRIMARY KEY(pid, target, dot, lid, seq)) WITHOUT ROWID;

-- What persons say of themselves, all of it that is not deleted. field: the key in the event's content, 1 name, 2 about,
-- 3 link. The value that counts is the one with the greatest id, then the greatest log key.
CREATE TABLE profile(pid INTEGER, field INTEGER, id INTEGER, lid INTEGER, seq INTEGER NOT NULL,
  ttl INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY(pid, field, id, lid)) WITHOUT ROWID;
