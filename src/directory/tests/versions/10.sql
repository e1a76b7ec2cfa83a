CREATE TABLE activity (bucket INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        principal TEXT,
        subject TEXT,
        operation TEXT NOT NULL,
        resource_type TEXT,
        resource_id TEXT,
        status INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT,
        request_id TEXT,
        count INTEGER NOT NULL
    ) STRICT;
CREATE TABLE email (value TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (value, seq)) STRICT, WITHOUT ROWID;
INSERT INTO "email" VALUES('ann@work.example',1);
INSERT INTO "email" VALUES('dave@example.com',2);
CREATE TABLE extension (urn TEXT PRIMARY KEY, kind INTEGER NOT NULL, definition TEXT NOT NULL, learned INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE intent (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        kind INTEGER NOT NULL,
        id TEXT,
        method TEXT NOT NULL,
        at INTEGER NOT NULL,
        unknown INTEGER NOT NULL
    ) STRICT;
INSERT INTO "intent" VALUES(1,0,'u2','PATCH',1795000002000,1);
CREATE TABLE member (
        group_seq INTEGER NOT NULL,
        member_id TEXT NOT NULL,
        kind INTEGER,
        display TEXT,
        PRIMARY KEY (group_seq, member_id)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "member" VALUES(3,'u1',0,'Ann');
INSERT INTO "member" VALUES(3,'u2',0,NULL);
CREATE TABLE proof (id TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE resource (
        seq INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        external_id TEXT,
        display TEXT,
        created INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        version INTEGER NOT NULL,
        origin_meta TEXT,
        body TEXT NOT NULL
    ) STRICT;
INSERT INTO "resource" VALUES(1,0,'u1','ann@example.com','x-u1',NULL,1795000000000,1795000001000,3,NULL,'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u1","userName":"Ann@Example.com","externalId":"x-u1","active":true,"emails":[{"value":"Ann@Work.example","type":"work"}]}');
INSERT INTO "resource" VALUES(2,0,'u2','däve','x-u2',NULL,1795000000000,1795000001000,3,NULL,'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u2","userName":"Däve","externalId":"x-u2","active":true,"emails":[{"value":"dave@example.com","type":"work"}]}');
INSERT INTO "resource" VALUES(3,1,'g1','staff','x-g1','Staff',1795000000000,1795000001000,3,NULL,'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g1","externalId":"x-g1","displayName":"Staff"}');
CREATE TABLE schema_version (number INTEGER NOT NULL) STRICT;
INSERT INTO "schema_version" VALUES(10);
CREATE TABLE seen (page INTEGER PRIMARY KEY, seqs TEXT NOT NULL) STRICT;
INSERT INTO "seen" VALUES(1,'[1,2]');
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO "state" VALUES('replica','{"origin": "https://origin.example/scim", "syncedAt": 1795000000000, "failures": 0, "capabilities": {"patch": true, "etag": true, "filter": true, "sort": false, "cursor": false, "index": true}, "listsMembers": true, "hidesMembers": true, "wholeAt": 1795000000000, "filtersTimes": true}');
CREATE TABLE tally (kind INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
INSERT INTO "tally" VALUES(0,2);
INSERT INTO "tally" VALUES(1,1);
CREATE UNIQUE INDEX resource_id ON resource (id, kind);
CREATE INDEX resource_names ON resource
            (kind, seq, name, body ->> 'displayName', octet_length(body) - length(body));
CREATE INDEX resource_name ON resource (name, kind);
CREATE INDEX resource_external_id ON resource (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX member_of ON member (member_id);
CREATE INDEX member_above ON member (member_id) WHERE kind IS NOT 0;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('intent',1);
CREATE TABLE deleted (
    number INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    source TEXT NOT NULL,
    principal TEXT,
    request_id TEXT,
    origin TEXT,
    attempted INTEGER,
    restored_as TEXT,
    links TEXT NOT NULL,
    body TEXT NOT NULL
        ) STRICT;
CREATE TABLE deleted_links (
    number INTEGER NOT NULL,
    part INTEGER NOT NULL,
    links TEXT NOT NULL,
    PRIMARY KEY (number, part)
        ) STRICT, WITHOUT ROWID;
ALTER TABLE audit ADD COLUMN attributes TEXT;
ALTER TABLE audit ADD COLUMN former_id TEXT;
CREATE INDEX audit_former ON audit (resource_type) WHERE former_id IS NOT NULL;
CREATE TABLE set_aside (kind INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;
CREATE INDEX resource_long ON resource (kind, seq, octet_length(body)) WHERE octet_length(body) > 4096;
