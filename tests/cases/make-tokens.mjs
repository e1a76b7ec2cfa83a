// Makes tests/cases/tokens.json: tokens of every attack class, signed with keys made here and thrown
// away, each with the reason it has to be refused with, or "allow". Run it to make them anew:
// `node tests/cases/make-tokens.mjs`.

import { constants, createHash, createHmac, generateKeyPairSync, privateEncrypt, randomBytes, sign as signWith } from "node:crypto";
import { writeFileSync } from "node:fs";

const NOW = 1_795_000_000;
const b64 = (value) => Buffer.from(value).toString("base64url");

// Keys ----------------------------------------------------------------------------------------

const pair = (type, options) => generateKeyPairSync(type, options);
const jwk = ({ publicKey }, more) => ({ ...publicKey.export({ format: "jwk" }), ...more });
const es = pair("ec", { namedCurve: "P-256" });
const es3 = pair("ec", { namedCurve: "P-384" });
const es5 = pair("ec", { namedCurve: "P-521" });
const k1 = pair("ec", { namedCurve: "secp256k1" });
const ed = pair("ed25519");
const rs = pair("rsa", { modulusLength: 2048 });
const big = pair("rsa", { modulusLength: 4096 });
const huge = pair("rsa", { modulusLength: 6144 });
const weak = pair("rsa", { modulusLength: 1024 });
const three = pair("rsa", { modulusLength: 2048, publicExponent: 3 });
const evil = pair("ec", { namedCurve: "P-256" });

const ES = jwk(es, { kid: "es" });
const sets = {
  all: [ES, jwk(es3, { kid: "e3" }), jwk(ed, { kid: "ed" }), jwk(rs, { kid: "rs" })],
  large: [jwk(big, { kid: "big" }), jwk(huge, { kid: "huge" })],
  twins: [jwk(evil, { kid: "es" }), ES],
  unnamed: [jwk(evil), jwk(pair("ec", { namedCurve: "P-256" })), jwk(es)],
  crowd: [...Array.from({ length: 5 }, () => jwk(pair("ec", { namedCurve: "P-256" }))), jwk(es)],
};

// Signing -------------------------------------------------------------------------------------

const HASH = { 256: "sha256", 384: "sha384", 512: "sha512" };
const raw = { dsaEncoding: "ieee-p1363" };

function signature(alg, key, bytes) {
  const hash = HASH[alg.slice(2)];
  const data = Buffer.from(bytes);
  switch (alg.slice(0, 2)) {
    case "ES": return signWith(hash, data, { key: key.privateKey, ...raw });
    case "RS": return signWith(hash, data, key.privateKey);
    case "PS": return signWith(hash, data, { key: key.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
    default: return signWith(null, data, key.privateKey);
  }
}

const claims = (more = {}) => ({ iss: "https://idp.example.com", aud: "scim", sub: "TEST098H0000", iat: NOW, exp: NOW + 600, ...more });
const header = (more = {}) => ({ alg: "ES256", kid: "es", typ: "JWT", ...more });
const without = (object, ...names) => Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
const text = (value) => (typeof value === "string" || Buffer.isBuffer(value) ? value : JSON.stringify(value));

/** A token of exactly these texts. */
function token(head, body, { alg = "ES256", key = es } = {}) {
  const signed = `${b64(text(head))}.${b64(text(body))}`;
  return `${signed}.${b64(signature(alg, key, signed))}`;
}

// Cases ---------------------------------------------------------------------------------------

const cases = [];
const add = (name, expect, made, more = {}) => cases.push({ name, expect, token: made, ...more });
const head = (name, expect, value, more) => add(`header: ${name}`, expect, token(value, claims()), more);
const body = (name, expect, value, more) => add(`claims: ${name}`, expect, token(header(), value), more);
const shown = (value) => {
  const written = JSON.stringify(value) ?? "undefined";
  return written.length > 60 ? `${written.slice(0, 8)}… (${written.length})` : written;
};

// Every algorithm, with its own key (RFC 7518 §3.1, RFC 8037, RFC 9864).
for (const [alg, key, kid, set] of [["ES256", es, "es"], ["ES384", es3, "e3"], ["EdDSA", ed, "ed"], ["Ed25519", ed, "ed"],
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].flatMap((name) => [[name, rs, "rs"], [name, big, "big", "large"], [name, huge, "huge", "large"]])]) {
  const made = (value) => token(header({ alg, kid }), value, { alg: alg === "Ed25519" ? "EdDSA" : alg, key });
  const more = set ? { keys: set } : {};
  add(`${alg} with ${kid}`, "allow", made(claims()), more);
  const [h, p, s] = made(claims()).split(".");
  const bytes = Buffer.from(s, "base64url");
  add(`${alg} with ${kid}: another payload under the signature`, "signature_mismatch", `${h}.${b64(text(claims({ sub: "OTHER" })))}.${s}`, more);
  bytes[bytes.length >> 1] ^= 1;
  add(`${alg} with ${kid}: one bit of the signature`, "signature_mismatch", `${h}.${p}.${b64(bytes)}`, more);
  if (!set) {
    add(`${alg} with ${kid}: the signature cut short`, "signature_mismatch", `${h}.${p}.${b64(bytes.subarray(0, -1))}`);
    add(`${alg} with ${kid}: the signature with a byte more`, "signature_mismatch", `${h}.${p}.${b64(Buffer.concat([bytes, Buffer.from([0])]))}`);
    add(`${alg} with ${kid}: a signature of zeros`, "signature_mismatch", `${h}.${p}.${b64(Buffer.alloc(bytes.length))}`);
    add(`${alg} with ${kid}: a signature of ones`, "signature_mismatch", `${h}.${p}.${b64(Buffer.alloc(bytes.length, 255))}`);
  }
}

// typ (RFC 8725 §3.11, RFC 9068 §4).
for (const typ of ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"]) head(`typ ${typ} (RFC 9068)`, "allow", header({ typ }));
head("no typ, no kid", "allow", { alg: "ES256" });
for (const typ of ["dpop+jwt", "logout+jwt", "secevent+jwt", "JOSE", "JWE", "", "JWT ", " JWT", "application/jwt", "id+jwt", null, 7, ["JWT"], true, {}]) {
  head(`typ ${shown(typ)} (RFC 8725 3.11)`, "type_not_allowed", header({ typ }));
}
// alg (RFC 8725 §2.1, §3.1, CVE-2015-9235).
for (const alg of ["none", "None", "NONE", "nOnE", "none ", "", "HS256", "HS384", "HS512", "hs256", "es256", "Es256", "ES512", "ES256K", "RSA-OAEP", "A128KW", "dir", "RS1", "EdDSA ", "Ed448"]) {
  head(`alg ${shown(alg)} (RFC 8725 3.1)`, "algorithm_not_allowed", header({ alg }));
}
for (const alg of [null, 256, ["ES256"], { ES256: 1 }, true]) head(`alg ${shown(alg)} is no string`, "malformed_header", header({ alg }));
head("no alg (RFC 7515 4.1.1)", "malformed_header", without(header(), "alg"));
for (const alg of ["none", "None"]) {
  const unsigned = `${b64(text({ alg }))}.${b64(text(claims()))}`;
  add(`alg ${alg} without a signature (CVE-2015-9235)`, "malformed_token", `${unsigned}.`);
  add(`alg ${alg} with a made-up signature`, "algorithm_not_allowed", `${unsigned}.AAAA`);
}
// A public key as an HMAC secret (CVE-2016-5431, CVE-2016-10555), in every spelling of it.
for (const [name, key] of [["RSA", rs], ["EC", es], ["Ed25519", ed]]) {
  const secrets = {
    "SPKI PEM": key.publicKey.export({ type: "spki", format: "pem" }),
    "SPKI PEM, trimmed": key.publicKey.export({ type: "spki", format: "pem" }).trim(),
    "SPKI DER": key.publicKey.export({ type: "spki", format: "der" }),
    JWK: JSON.stringify(key.publicKey.export({ format: "jwk" })),
    ...(name === "RSA" && { "PKCS1 PEM": key.publicKey.export({ type: "pkcs1", format: "pem" }), modulus: Buffer.from(jwk(rs).n, "base64url") }),
    ...(name !== "RSA" && { x: Buffer.from(jwk(key).x, "base64url") }),
  };
  for (const [spelling, secret] of Object.entries(secrets)) {
    for (const alg of ["HS256", "HS512"]) {
      const signed = `${b64(text(header({ alg, kid: undefined })))}.${b64(text(claims()))}`;
      add(`${alg} with the ${name} key's ${spelling} as secret (CVE-2016-10555)`, "algorithm_not_allowed", `${signed}.${createHmac(HASH[alg.slice(2)], secret).update(signed).digest("base64url")}`);
    }
  }
}
// The key decides (RFC 8725 §3.2): another algorithm's key, another curve's.
for (const alg of ["RS256", "PS256", "ES384", "EdDSA"]) head(`alg ${alg} with the ES256 key's kid`, "key_not_found", header({ alg }));
add("PS256 with a key for RS256 only", "key_not_found", token(header({ alg: "PS256", kid: "rs" }), claims(), { alg: "PS256", key: rs }), { keys: [jwk(rs, { kid: "rs", alg: "RS256" })] });
add("RS256 with a key for RS256", "allow", token(header({ alg: "RS256", kid: "rs" }), claims(), { alg: "RS256", key: rs }), { keys: [jwk(rs, { kid: "rs", alg: "RS256", use: "sig", key_ops: ["verify"] })] });
add("an RS256 signature called PS256", "signature_mismatch", token(header({ alg: "PS256", kid: "rs" }), claims(), { alg: "RS256", key: rs }));
add("a PS256 signature called RS256", "signature_mismatch", token(header({ alg: "RS256", kid: "rs" }), claims(), { alg: "PS256", key: rs }));
add("an RS512 signature called RS256", "signature_mismatch", token(header({ alg: "RS256", kid: "rs" }), claims(), { alg: "RS512", key: rs }));
{
  const signed = `${b64(text(header({ alg: "PS256", kid: "rs" })))}.${b64(text(claims()))}`;
  const salted = (saltLength) => `${signed}.${b64(signWith("sha256", Buffer.from(signed), { key: rs.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }))}`;
  add("PS256 without salt (RFC 7518 3.5)", "signature_mismatch", salted(0));
  add("PS256 with a salt of 20 bytes (RFC 7518 3.5)", "signature_mismatch", salted(20));
  add("PS256 with the longest salt (RFC 7518 3.5)", "signature_mismatch", salted(constants.RSA_PSS_SALTLEN_MAX_SIGN));
}
// crit and what changes the meaning (RFC 7515 §4.1.11, RFC 7797, RFC 7516).
for (const crit of [[], null, ["exp"], ["b64"], ["alg"], [""], [1], "b64", {}, true, ["x", "x"], ["http://example.com/x"]]) {
  head(`crit ${shown(crit)} (RFC 7515 4.1.11)`, "extension_not_supported", header({ crit, exp: 1 }));
}
for (const [name, value] of [["b64", true], ["b64", false], ["zip", "DEF"], ["enc", "A128GCM"], ["cty", "JWT"], ["cty", ""], ["b64", null]]) {
  head(`${name} ${shown(value)}`, "extension_not_supported", header({ [name]: value }));
}
// Keys that a token brings along are not looked at (RFC 8725 §3.10, CVE-2018-0114).
for (const [name, value] of [["jwk", jwk(evil)], ["jwk", { kty: "oct", k: "AA" }], ["jwk", "x"], ["jku", "https://evil.example/keys"], ["jku", "file:///etc/passwd"], ["x5u", "https://evil.example/"], ["x5c", ["MII"]], ["x5t", 1]]) {
  head(`${name} ${shown(value)} beside a good signature (RFC 8725 3.10)`, "allow", header({ [name]: value }));
  add(`header: ${name} ${shown(value)} of the signer's own (CVE-2018-0114)`, "signature_mismatch", token(header({ [name]: value }), claims(), { key: evil }));
}
// kid (RFC 7515 §4.1.4, CVE-2024-54150 and its like).
for (const kid of ["ed", "rs", "e3", "../../etc/passwd", "' OR 1=1 --", "__proto__", "constructor", "ES", "es\u0000", "es ", "", "$(id)", "k".repeat(256)]) {
  head(`kid ${shown(kid)} names another key or none`, "key_not_found", header({ kid }));
}
for (const kid of [1, null, ["es"], { a: 1 }, true, "k".repeat(257), "k".repeat(3000)]) head(`kid ${shown(kid)} is none`, "malformed_header", header({ kid }));
// Not one JSON object (RFC 7519 §7.2, RFC 8259 §4).
const BROKEN = {
  "alg twice": '{"alg":"ES256","alg":"none"}',
  "alg twice, once escaped": '{"alg":"ES256","\\u0061lg":"none"}',
  "an array": '["ES256"]',
  "an array of pairs": '[["alg","ES256"]]',
  "a string": '"ES256"',
  null: "null",
  "a number": "7",
  "half an object": '{"alg":"ES256"',
  "a brace": "{",
  "text behind": '{"alg":"ES256"}x',
  "a byte order mark": '\ufeff{"alg":"ES256"}',
  "a comma too many": '{"alg":"ES256",}',
  "single quotes": "{'alg':'ES256'}",
  "an infinite number": '{"alg":"ES256","x":1e999}',
  "half a surrogate pair": '{"alg":"ES256","x":"\\ud800"}',
  "a comment": '{"alg":"ES256"/**/}',
  NaN: '{"alg":"ES256","x":NaN}',
  "a control character": '{"alg":"ES256","x":"\u0001"}',
  "UTF-16": Buffer.from('{"alg":"ES256"}', "utf16le"),
  "an overlong byte sequence": Buffer.concat([Buffer.from('{"alg":"ES256","x":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]),
  "Latin-1": Buffer.from('{"alg":"ES256","x":"\u00e4"}', "latin1"),
  "deep arrays": `{"alg":"ES256","x":${"[".repeat(40)}1${"]".repeat(40)}}`,
  "very deep arrays": `{"alg":"ES256","x":${"[".repeat(1500)}${"]".repeat(1500)}}`,
  "too long": JSON.stringify(header({ x: "y".repeat(4096) })),
  "duplicates further down": '{"alg":"ES256","x":{"a":1,"a":2}}',
  "only spaces": "   ",
};
for (const [name, value] of Object.entries(BROKEN)) {
  head(name, "malformed_header", value);
  if (name !== "too long") body(name, "malformed_payload", Buffer.isBuffer(value) ? value : value.replaceAll("alg", "exp").replace("\\u0061lg", "\\u0065xp"));
}
head("spaces around the object", "allow", ` ${JSON.stringify(header())}\n`);
head("a member nobody knows", "allow", header({ "x-y": { a: [1, 2] } }));
body("far too long", "token_too_long", claims({ x: "y".repeat(13_000) }));
body("32 levels", "allow", JSON.stringify(claims()).replace("}", `,"x":${"[".repeat(31)}${"]".repeat(31)}}`));
body("33 levels", "malformed_payload", JSON.stringify(claims()).replace("}", `,"x":${"[".repeat(32)}${"]".repeat(32)}}`));
// The compact form (RFC 7515 §7.1) and base64url (RFC 4648 §3.5, §5): one token has one spelling.
{
  const good = token(header(), claims());
  const [h, p, s] = good.split(".");
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const twin = s.slice(0, -1) + alphabet[alphabet.indexOf(s.at(-1)) ^ 1];
  const malformed = {
    nothing: "", "a dot": ".", "two dots": "..", "three dots": "...", "a thousand dots": ".".repeat(1000),
    "one part": h, "two parts": `${h}.${p}`, "no signature": `${h}.${p}.`, "no payload": `${h}..${s}`, "no header": `.${p}.${s}`,
    "four parts": `${good}.x`, "five parts (a JWE, RFC 7516)": `${h}.${p}.${s}.${s}.${s}`, "a dot behind": `${good}.`, "a dot before": `.${good}`,
    padding: `${good}=`, "padding of the header": `${h}=.${p}.${s}`, "a line break behind": `${good}\n`, "a line break within": `${h}.${p}.\n${s}`,
    "a space before": ` ${good}`, "a space within": `${h}.${p} .${s}`, "a tab": `${h}\t.${p}.${s}`, "the other alphabet": `${h}.${p}.${s.slice(0, -4)}+/+/`,
    "a letter beyond ASCII": `${h}.${p}.é${s}`, "a NUL": `${h}.${p}.${s}\u0000`, "percent-encoding": `${h}.${p}.%41${s}`, "leftover bits": `${h}.${p}.${twin}`,
    "a length that no bytes have": `${h}.${p}.${s.slice(0, 85)}`,
    "JSON serialisation (RFC 7515 7.2)": JSON.stringify({ payload: p, signatures: [{ protected: h, signature: s }] }),
    "flattened JSON serialisation (RFC 7515 7.2.2)": JSON.stringify({ payload: p, protected: h, signature: s }),
    "Bearer before it": `Bearer ${good}`, quotes: `"${good}"`,
  };
  for (const [name, value] of Object.entries(malformed)) add(`form: ${name}`, "malformed_token", value);
  add("form: a hundred thousand dots", "token_too_long", ".".repeat(100_000));
  add("form: 64 KB", "token_too_long", "A".repeat(65_536));
  // ECDSA signatures (CVE-2022-21449, RFC 7518 §3.4).
  const bytes = Buffer.from(s, "base64url");
  const [r, sv] = [bytes.subarray(0, 32), bytes.subarray(32)];
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const hex = (number, length = 32) => Buffer.from(number.toString(16).padStart(length * 2, "0"), "hex");
  const value = (part) => BigInt(`0x${part.toString("hex")}`);
  const zero = Buffer.alloc(32);
  const forged = {
    "r = 0": [zero, sv], "s = 0": [r, zero], "r = s = 0 (CVE-2022-21449)": [zero, zero], "r = s = 1": [hex(1n), hex(1n)], "r = n": [hex(n), sv], "s = n": [r, hex(n)],
    "r = s = n": [hex(n), hex(n)], "r and s exchanged": [sv, r], "DER (RFC 7518 3.4)": [Buffer.from([0x30, 0x44, 0x02, 0x20]), r, Buffer.from([0x02, 0x20]), sv],
    "r alone": [r], "r and s in 33 bytes each": [Buffer.from([0]), r, Buffer.from([0]), sv], "48 bytes": [bytes.subarray(0, 48)], "one byte": [Buffer.from([1])],
    "s + n, in 33 bytes": [r, hex(value(sv) + n, 33)], "r - 1": [hex(value(r) - 1n), sv],
  };
  for (const [name, parts] of Object.entries(forged)) add(`ECDSA: ${name}`, "signature_mismatch", `${h}.${p}.${b64(Buffer.concat(parts))}`);
  // A signature of the negated s is one of the same bytes: ECDSA has two, and nothing depends on which.
  add("ECDSA: n - s is a signature too", "allow", `${h}.${p}.${b64(Buffer.concat([r, hex(n - value(sv))]))}`);
  add("ECDSA: P-384's signature under ES256", "signature_mismatch", `${h}.${p}.${b64(signature("ES384", es3, `${h}.${p}`))}`);
  add("ECDSA: the signature of another token", "signature_mismatch", `${h}.${p}.${token(header(), claims({ jti: "2" })).split(".")[2]}`);
  add("ECDSA: header and payload exchanged", "malformed_header", `${p}.${h}.${s}`);
  const eds = Buffer.from(token(header({ alg: "EdDSA", kid: "ed" }), claims(), { alg: "EdDSA", key: ed }).split(".")[2], "base64url");
  const [eh, ep] = token(header({ alg: "EdDSA", kid: "ed" }), claims(), { alg: "EdDSA", key: ed }).split(".");
  const L = 2n ** 252n + 27742317777372353535851937790883648493n;
  const little = (buffer) => BigInt(`0x${Buffer.from(buffer).reverse().toString("hex")}`);
  const sL = little(eds.subarray(32)) + L;
  if (sL < 2n ** 256n) add("Ed25519: S + L (RFC 8032 5.1.7)", "signature_mismatch", `${eh}.${ep}.${b64(Buffer.concat([eds.subarray(0, 32), hex(sL).reverse()]))}`);
  add("Ed25519: R of small order", "signature_mismatch", `${eh}.${ep}.${b64(Buffer.concat([Buffer.from([1]), Buffer.alloc(31), eds.subarray(32)]))}`);
}
// Key sets (RFC 7517): what cannot be used is left out, what fits is tried, four at most without a kid.
const good = token(header(), claims());
const keysOnly = (name, expect, keys, made = good) => add(`keys: ${name}`, expect, made, { keys });
keysOnly("two with one kid: both are tried", "allow", "twins");
keysOnly("no kid in the token, three keys", "allow", "unnamed", token({ alg: "ES256" }, claims()));
keysOnly("no kid in the token, the sixth key", "signature_mismatch", "crowd", token({ alg: "ES256" }, claims()));
keysOnly("a kid in the token, keys without", "key_not_found", "unnamed");
for (const [name, more] of [["use enc", { use: "enc" }], ["use null", { use: null }], ["use in capitals", { use: "SIG" }], ["key_ops without verify", { key_ops: ["sign"] }], ["key_ops a string", { key_ops: "verify" }], ["empty key_ops", { key_ops: [] }],
  ["alg of another curve", { alg: "ES384" }], ["alg HS256", { alg: "HS256" }], ["alg none", { alg: "none" }], ["alg a number", { alg: 1 }], ["a kid that is a number", { kid: 1 }], ["crv P-384", { crv: "P-384" }], ["crv missing", { crv: undefined }],
  ["kty in lower case", { kty: "ec" }], ["kty OKP", { kty: "OKP" }], ["x missing", { x: undefined }], ["x one byte short", { x: b64(Buffer.from(ES.x, "base64url").subarray(1)) }], ["x with padding", { x: `${ES.x}=` }], ["x a number", { x: 1 }],
  ["y another point's: not on the curve", { y: jwk(evil).y }], ["x = y = 0", { x: b64(Buffer.alloc(32)), y: b64(Buffer.alloc(32)) }]]) {
  const spoilt = { ...ES, ...more };
  // Whether a point is on its curve is seen when the key is used.
  const expect = /curve: not|not on the curve|x = y = 0/.test(name) ? "signature_mismatch" : "key_not_found";
  keysOnly(`the key with ${name} (RFC 7517 4)`, expect, [spoilt, jwk(rs, { kid: "rs" })]);
}
keysOnly("use sig and key_ops verify", "allow", [{ ...ES, use: "sig", key_ops: ["verify", "sign"], alg: "ES256", "x-y": 1, x5c: ["MII"] }]);
keysOnly("an oct key beside it", "allow", [{ kty: "oct", k: "AAAA", kid: "es" }, ES]);
keysOnly("what is no object beside it", "allow", [1, null, "x", [], ES]);
// With a key that is published together with its private half, anybody can sign (RFC 7517 9.2).
{
  const exposed = { ...ES, d: es.privateKey.export({ format: "jwk" }).d };
  keysOnly("published with its private half", "key_not_found", [exposed]);
  keysOnly("published with its private half, beside another", "key_not_found", [exposed, jwk(rs, { kid: "rs" })]);
  keysOnly("published with its private half, and once more without", "key_not_found", [ES, exposed]);
  keysOnly("published with its private half under another kid", "key_not_found", [ES, { ...exposed, kid: "other" }]);
  keysOnly("published with its private half, no kid in the token", "key_not_found", [exposed], token({ alg: "ES256" }, claims()));
  keysOnly("beside one that is published with its private half", "allow", [{ ...rs.privateKey.export({ format: "jwk" }), kid: "rs" }, ES]);
  for (const member of ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]) {
    for (const value of ["AQ", "", null]) keysOnly(`with a member ${member} ${shown(value)}`, "key_not_found", [{ ...ES, [member]: value }]);
  }
}
const rsToken = (key, kid = "rs") => token(header({ alg: "RS256", kid }), claims(), { alg: "RS256", key });
keysOnly("RSA of 1024 bits (RFC 7518 3.3)", "key_not_found", [jwk(weak, { kid: "rs" }), ES], rsToken(weak));
keysOnly("RSA with e = 3", "key_not_found", [jwk(three, { kid: "rs" }), ES], rsToken(three));
keysOnly("RSA with e = 65537 in four bytes", "key_not_found", [jwk(rs, { kid: "rs", e: "AAEAAQ" }), ES], rsToken(rs));
keysOnly("RSA with a leading zero in n (RFC 7518 6.3.1.1)", "key_not_found", [jwk(rs, { kid: "rs", n: b64(Buffer.concat([Buffer.from([0]), Buffer.from(jwk(rs).n, "base64url")])) }), ES], rsToken(rs));
keysOnly("RSA with an even n", "key_not_found", [jwk(rs, { kid: "rs", n: b64(Buffer.from(jwk(rs).n, "base64url").fill(2, 255)) }), ES], rsToken(rs));
keysOnly("P-521", "key_not_found", [jwk(es5, { kid: "es" }), jwk(rs, { kid: "rs" })]);
keysOnly("secp256k1", "key_not_found", [jwk(k1, { kid: "es" }), jwk(rs, { kid: "rs" })]);
for (const x of ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "7P_______________________________________38", "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU"]) {
  keysOnly(`Ed25519 point of small order ${x.slice(0, 6)} (RFC 8032 5.1.7)`, "key_not_found", [{ kty: "OKP", crv: "Ed25519", x, kid: "ed" }, ES], token(header({ alg: "EdDSA", kid: "ed" }), claims(), { alg: "EdDSA", key: ed }));
}
keysOnly("a key of somebody else's with the right kid", "signature_mismatch", [jwk(evil, { kid: "es" })]);
// Times (RFC 7519 §4.1.4 to §4.1.6; NumericDate).
const at = (name, expect, more, extra) => body(name, expect, claims(more), extra);
for (const exp of [null, "1795000600", true, [1], {}, ""]) at(`exp ${shown(exp)}`, "expiry_missing", { exp });
body("no exp", "expiry_missing", without(claims(), "exp"));
for (const [exp, expect] of [[NOW, "allow"], [NOW - 29, "allow"], [NOW - 30, "expired"], [NOW - 31, "expired"], [NOW - 29.5, "allow"], [NOW - 30.5, "expired"], [0, "expired"], [NOW + 0.5, "allow"], [4e9, "allow"], [1e15, "allow"]]) {
  at(`exp ${exp - NOW > 1e8 ? exp : `now ${exp - NOW >= 0 ? "+" : "-"} ${Math.abs(exp - NOW)}`} with a skew of 30`, expect, { exp });
}
body("exp -1", "expiry_missing", claims({ exp: -1 }));
body("exp 2^63", "allow", JSON.stringify(claims()).replace(`${NOW + 600}`, "9223372036854775808"));
body("exp 1e300", "allow", JSON.stringify(claims()).replace(`${NOW + 600}`, "1e300"));
at("exp now - 1 without skew", "expired", { exp: NOW - 1 }, { rule: { clockSkewSeconds: 0 } });
at("exp now without skew: it has passed", "expired", { exp: NOW }, { rule: { clockSkewSeconds: 0 } });
at("exp now + 1 without skew", "allow", { exp: NOW + 1 }, { rule: { clockSkewSeconds: 0 } });
for (const [name, late] of [["nbf", "not_yet_valid"], ["iat", "issued_in_future"]]) {
  at(`${name} now + 30`, "allow", { [name]: NOW + 30 });
  at(`${name} now + 31`, late, { [name]: NOW + 31 });
  at(`${name} 0`, "allow", { [name]: 0 });
  for (const value of [null, "1", true, [1], {}, -5]) at(`${name} ${shown(value)}`, "malformed_claim", { [name]: value });
}
const lifetime = { rule: { maxLifetimeSeconds: 600 } };
at("a lifetime of 600 of 600", "allow", {}, lifetime);
at("a lifetime of 601 of 600", "lifetime_too_long", { exp: NOW + 601 }, lifetime);
at("a lifetime of 600.5 of 600", "lifetime_too_long", { exp: NOW + 600.5 }, lifetime);
body("a lifetime without iat", "lifetime_too_long", without(claims(), "iat"), lifetime);
// Issuer and audience (RFC 7519 §4.1.1, §4.1.3, RFC 8725 §3.8, §3.9): exact.
const issuer = { rule: { issuer: "https://idp.example.com" } };
at("the issuer", "allow", {}, issuer);
for (const iss of ["https://idp.example.com/", "HTTPS://idp.example.com", "https://IDP.example.com", "http://idp.example.com", "https://idp.example.com:443", "https://idp.example.com.evil.example", "https://evil.example/https://idp.example.com", " https://idp.example.com", ["https://idp.example.com"], null, 1, {}]) {
  at(`iss ${shown(iss)} (RFC 8725 3.8)`, "issuer_not_trusted", { iss }, issuer);
}
body("no iss", "issuer_not_trusted", without(claims(), "iss"), issuer);
const audience = { rule: { audiences: ["scim", "other"] } };
for (const aud of ["scim", "other", ["scim"], ["x", "other"]]) at(`aud ${shown(aud)}`, "allow", { aud }, audience);
for (const aud of ["SCIM", "scim2", "sci", "scim,other", "scim other", [], ["x"], ""]) at(`aud ${shown(aud)} (RFC 8725 3.9)`, "audience_mismatch", { aud }, audience);
body("no aud", "audience_mismatch", without(claims(), "aud"), audience);
for (const aud of [null, 1, { scim: true }, ["scim", 1], [null], [["scim"]]]) at(`aud ${shown(aud)} has the wrong type`, "malformed_claim", { aud }, audience);
// Whom it is bound to (RFC 9449, RFC 8705, RFC 8471).
for (const cnf of [{ jkt: "x" }, { "x5t#S256": "x" }, { jwk: {} }, {}, null, "x"]) at(`cnf ${shown(cnf)} (RFC 9449, RFC 8705)`, "sender_constrained", { cnf });
for (const [cnf, expect] of [[{ jkt: "x" }, "allow"], [undefined, "sender_constrained"], [null, "sender_constrained"], [{}, "sender_constrained"], ["x", "sender_constrained"], [{ jkt: 1 }, "sender_constrained"], [{ jkt: null }, "sender_constrained"],
  [["x"], "sender_constrained"], [{ jkt: "x", "x5t#S256": "y" }, "sender_constrained"], [{ "x5t#S256": "y" }, "sender_constrained"], [{ jwk: { jkt: "x" } }, "sender_constrained"]]) {
  at(`cnf ${shown(cnf)} where the rule demands DPoP (RFC 9449 6.1)`, expect, { cnf }, { rule: { dpop: true } });
}
// The rule's claims.
for (const [sub, expect] of [["OTHER", "claim_mismatch"], ["TEST098H0000 ", "claim_mismatch"], [" TEST098H0000", "claim_mismatch"], ["test098h0000", "claim_mismatch"], ["TEST098H00001", "claim_mismatch"], ["TEST098H000", "claim_mismatch"], ["", "claim_mismatch"], [["TEST098H0000"], "claim_mismatch"], [null, "claim_mismatch"], [{}, "claim_mismatch"]]) {
  at(`sub ${shown(sub)}`, Array.isArray(sub) || (sub !== null && typeof sub === "object") || sub === null ? "malformed_claim" : expect, { sub });
}
const matches = (field, value, expect, more) => at(`${field} is ${value}: ${shown(more)}`, expect, more, { rule: { claims: [{ field, value }] } });
matches("sub", " TEST098H0000\t", "allow", {});
matches("groups", " admins", "allow", { groups: ["users", "admins"] });
matches("groups", "admins", "claim_mismatch", { groups: [" admins", "admins "] });
matches("groups", "admins", "allow", { groups: ["users", "admins"] });
matches("groups", "admins", "claim_mismatch", { groups: ["users", "admin"] });
matches("groups", "admins", "claim_mismatch", { groups: "users,admins" });
matches("groups", "admins", "claim_mismatch", { groups: [["admins"]] });
matches("groups", "3", "claim_mismatch", { groups: [3] });
matches("n", "7", "allow", { n: 7 });
matches("n", "7", "claim_mismatch", { n: 7.5 });
matches("t", "true", "allow", { t: true });
matches("t", "true", "allow", { t: "true" });
matches("z", "null", "claim_mismatch", { z: null });
matches("https://example.com/role", "scim", "allow", { "https://example.com/role": "scim" });
matches("a.b", "x", "allow", { "a.b": "x" });
matches("a.b", "x", "claim_mismatch", { a: { b: "x" } });
matches("/a/b", "x", "allow", { a: { b: "x" } });
matches("/a~1b", "x", "allow", { "a/b": "x" });
matches("/groups/0", "x", "allow", { groups: ["x"] });
matches("/groups/00", "x", "claim_mismatch", { groups: ["x"] });
matches("__proto__", "x", "claim_mismatch", {});
matches("constructor", "x", "claim_mismatch", {});
matches("tid", "\u00e4", "claim_mismatch", { tid: "a\u0308" });
at("two claims, one of them wrong", "claim_mismatch", { tid: "other" }, { rule: { claims: [{ field: "sub", value: "TEST098H0000" }, { field: "tid", value: "t" }] } });
// What the token says it is for: security events and logout (RFC 8417, OpenID Connect Back-Channel Logout), ID and
// refresh tokens that the same keys sign (RFC 8725 2.8).
for (const events of [{}, { "http://schemas.openid.net/event/backchannel-logout": {} }, [], "x", null, false]) at(`events ${shown(events)} (RFC 8417)`, "security_event", { events });
at("events wins over a wrong claim", "security_event", { events: {}, sub: "OTHER" });
at("an ID token that has expired", "expired", { token_use: "id", exp: NOW - 900 });
for (const [claim, value, expect] of [["token_use", "id", "identity_token"], ["token_use", "ID", "identity_token"], ["token_use", " id ", "identity_token"], ["token_use", "refresh", "refresh_token"], ["token_use", "access", "allow"], ["token_use", "client", "allow"], ["token_use", "", "allow"],
  ["token_use", ["id"], "allow"], ["typ", "ID", "identity_token"], ["typ", "Id", "identity_token"], ["typ", "Refresh", "refresh_token"], ["typ", "Offline", "refresh_token"], ["typ", "REFRESH", "refresh_token"], ["typ", "Logout", "logout_token"], ["typ", "logout", "logout_token"], ["typ", "Bearer", "allow"],
  ["typ", "DPoP", "allow"], ["typ", "JWT", "allow"], ["typ", "Identity", "allow"], ["typ", null, "allow"], ["typ", 1, "allow"]]) {
  at(`the claim ${claim} ${shown(value)}`, expect, { [claim]: value });
}
// The rule's algorithms.
add("an algorithm that the rule does not take", "algorithm_not_allowed", good, { rule: { algorithms: ["RS256"] } });
add("an algorithm that the rule takes", "allow", good, { rule: { algorithms: ["RS256", "ES256"] } });
add("a nested JWT (RFC 7519 11.2)", "extension_not_supported", token(header({ cty: "JWT" }), good));
add("a JWT as payload without cty", "malformed_payload", token(header(), good));

// Where limits lie: the last that is taken, the first that is not (src/policy/token.rs).
{
  const padded = (object, length) => JSON.stringify({ ...object, x: "y".repeat(length - JSON.stringify({ ...object, x: "" }).length) });
  head("4096 bytes", "allow", padded(header(), 4096));
  head("4097 bytes", "malformed_header", padded(header(), 4097));
  const room = (16_384 - good.split(".")[0].length - good.split(".")[2].length - 2) * 3 / 4;
  const longest = token(header(), padded(claims(), Math.floor(room)));
  add(`form: ${longest.length} bytes`, "allow", longest);
  add("form: 16385 bytes and more", "token_too_long", token(header(), padded(claims(), Math.floor(room) + 2)));
  const named = "k".repeat(256);
  add("header: a kid of 256 bytes", "allow", token(header({ kid: named }), claims()), { keys: [{ ...ES, kid: named }] });
  add("header: an empty kid, and a key with one", "allow", token(header({ kid: "" }), claims()), { keys: [{ ...ES, kid: "" }] });
  add("header: an empty kid, and a key without", "key_not_found", token(header({ kid: "" }), claims()), { keys: [jwk(es)] });
  add("header: a kid of letters beyond ASCII", "allow", token(header({ kid: "schlüssel" }), claims()), { keys: [{ ...ES, kid: "schlüssel" }] });
  add("header: a kid in another normal form", "key_not_found", token(header({ kid: "schlu\u0308ssel" }), claims()), { keys: [{ ...ES, kid: "schlüssel" }] });
  head("31 levels beneath it", "allow", JSON.stringify(header()).replace("}", `,"x":${"[".repeat(31)}${"]".repeat(31)}}`));
  head("32 levels beneath it", "malformed_header", JSON.stringify(header()).replace("}", `,"x":${"[".repeat(32)}${"]".repeat(32)}}`));
}
// The rule's types of token.
for (const [typ, types, expect] of [["JWT", ["at+jwt"], "type_not_allowed"], ["at+jwt", ["at+jwt"], "allow"], ["application/at+jwt", ["at+jwt"], "allow"], ["at+jwt", ["JWT"], "type_not_allowed"],
  [undefined, ["JWT"], "type_not_allowed"], [undefined, ["none"], "allow"], [undefined, ["JWT", "none"], "allow"]]) {
  head(`typ ${shown(typ)} where the rule takes ${types}`, expect, header({ typ }), { rule: { tokenTypes: types } });
}
// RSA moduli of every length (RFC 8017 §8.1.2, §9.1: of 8k + 1 bits, the encoded message is a byte shorter).
for (const bits of [2048, 2049, 2050, 2055, 2056, 3072, 8192]) {
  const key = pair("rsa", { modulusLength: bits });
  const keys = [jwk(key, { kid: "rs" })];
  for (const alg of ["RS256", "PS256", "PS512"]) {
    const made = token(header({ alg, kid: "rs" }), claims(), { alg, key });
    const [h, p, s] = made.split(".");
    const spoilt = Buffer.from(s, "base64url");
    spoilt[spoilt.length - 1] ^= 1;
    add(`RSA: ${alg} with ${bits} bits`, "allow", made, { keys });
    add(`RSA: ${alg} with ${bits} bits: one bit of the signature`, "signature_mismatch", `${h}.${p}.${b64(spoilt)}`, { keys });
    add(`RSA: ${alg} with ${bits} bits: a zero before the signature`, "signature_mismatch", `${h}.${p}.${b64(Buffer.concat([Buffer.from([0]), Buffer.from(s, "base64url")]))}`, { keys });
  }
}
for (const bits of [2047, 8200]) {
  const key = pair("rsa", { modulusLength: bits });
  keysOnly(`RSA of ${bits} bits`, "key_not_found", [jwk(key, { kid: "rs" }), ES], rsToken(key));
}
// RSA signatures that are numbers of another shape, or say something else once opened (RFC 8017 §8.1.2, §8.2.2).
{
  const number = (buffer) => BigInt(`0x${buffer.toString("hex")}`);
  const bytes = (value) => Buffer.from(value.toString(16).padStart(512, "0"), "hex");
  const n = number(Buffer.from(jwk(rs).n, "base64url"));
  const parts = (alg) => `${b64(text(header({ alg, kid: "rs" })))}.${b64(text(claims()))}`;
  for (const alg of ["RS256", "PS256"]) {
    for (const [name, value] of [["0", 0n], ["1", 1n], ["n - 1", n - 1n], ["n", n], ["n + 1", n + 1n]]) {
      add(`RSA: ${alg}: the signature ${name}`, "signature_mismatch", `${parts(alg)}.${b64(bytes(value))}`);
    }
    for (let jti = 0; ; jti += 1) {
      const [h, p, s] = token(header({ alg, kid: "rs" }), claims({ jti: `${jti}` }), { alg, key: rs }).split(".");
      const more = number(Buffer.from(s, "base64url")) + n;
      if (more >= 2n ** 2048n) continue;
      add(`RSA: ${alg}: the signature + n`, "signature_mismatch", `${h}.${p}.${b64(bytes(more))}`);
      break;
    }
  }
  const opened = (alg, message) => `${parts(alg)}.${b64(privateEncrypt({ key: rs.privateKey, padding: constants.RSA_NO_PADDING }, message))}`;
  const digest = (name) => createHash(name).update(parts("RS256")).digest();
  const INFO = "3031300d060960864801650304020105000420";
  const framed = (end, { type = 1, fill = 0xff, length = 256, behind = 0 } = {}) =>
    Buffer.concat([Buffer.from([0, type]), Buffer.alloc(length - end.length - 3 - behind, fill), Buffer.from([0]), end, Buffer.alloc(behind, 0x41)]);
  const said = (info, hash = digest("sha256")) => Buffer.concat([Buffer.from(info, "hex"), hash]);
  add("RSA: RS256 as it should be", "allow", opened("RS256", framed(said(INFO))));
  for (const [name, message] of [
    ["no algorithm named", framed(digest("sha256"))],
    ["no NULL parameters", framed(said("302f300b0609608648016503040201" + "0420"))],
    ["a length in the long form", framed(said("308131300d060960864801650304020105000420"))],
    ["SHA-1", framed(said("3021300906052b0e03021a05000414", digest("sha1")))],
    ["SHA-512", framed(said("3051300d060960864801650304020305000440", digest("sha512")))],
    ["SHA-256 named, SHA-512's first 32 bytes", framed(said(INFO, digest("sha512").subarray(0, 32)))],
    ["text behind the digest (CVE-2006-4339)", framed(said(INFO), { behind: 150 })],
    ["block type 0", framed(said(INFO), { type: 0, fill: 0 })],
    ["block type 2", framed(said(INFO), { type: 2, fill: 0x11 })],
    ["a filling of other bytes", framed(said(INFO), { fill: 0xfe })],
    ["no byte 0 behind the filling", framed(said(INFO)).fill(0xff, 256 - 52, 256 - 51)],
    ["the digest one bit off", framed(said(INFO, bytes(number(digest("sha256")) ^ 1n).subarray(-32)))],
  ]) {
    add(`RSA: RS256: ${name}`, "signature_mismatch", opened("RS256", message));
  }
  // EMSA-PSS, so that each part of it can be wrong.
  const mask = (hash, seed, length) => {
    const blocks = [];
    for (let counter = 0; blocks.length * 20 < length; counter += 1) {
      const place = Buffer.alloc(4);
      place.writeUInt32BE(counter);
      blocks.push(createHash(hash).update(seed).update(place).digest());
    }
    return Buffer.concat(blocks).subarray(0, length);
  };
  const pss = ({ mgf = "sha256", trailer = 0xbc, one = 1, fill = 0, zeros = 8, salt = randomBytes(32) } = {}) => {
    const own = createHash("sha256").update(parts("PS256")).digest();
    const hash = createHash("sha256").update(Buffer.alloc(zeros)).update(own).update(salt).digest();
    const block = Buffer.concat([Buffer.alloc(256 - 32 - salt.length - 2, fill), Buffer.from([one]), salt]);
    const hidden = mask(mgf, hash, block.length);
    const masked = Buffer.from(block.map((byte, place) => byte ^ hidden[place]));
    masked[0] &= 0x7f;
    return opened("PS256", Buffer.concat([masked, hash, Buffer.from([trailer])]));
  };
  add("RSA: PS256 as it should be", "allow", pss());
  for (const [name, more] of [["MGF1 with SHA-1", { mgf: "sha1" }], ["another trailer", { trailer: 0xcc }], ["no byte 1 before the salt", { one: 0 }], ["2 before the salt", { one: 2 }], ["a filling that is not 0", { fill: 1 }],
    ["7 zeros before the digest", { zeros: 7 }], ["a salt of 31 bytes", { salt: randomBytes(31) }], ["a salt of 33 bytes", { salt: randomBytes(33) }], ["a salt of 64 bytes", { salt: randomBytes(64) }]]) {
    add(`RSA: PS256: ${name}`, "signature_mismatch", pss(more));
  }
}
for (const [name, more] of [["e = 1", { e: "AQ" }], ["e = 0", { e: "AA" }], ["e a number", { e: 65537 }], ["e with padding", { e: "AQAB=" }], ["e missing", { e: undefined }], ["n missing", { n: undefined }], ["an empty n", { n: "" }],
  ["n a number", { n: 7 }], ["n with a line break", { n: `${jwk(rs).n}\n` }], ["n in the other alphabet", { n: `${jwk(rs).n.slice(0, -4)}+/+/` }], ["alg ES256", { alg: "ES256" }], ["kty EC", { kty: "EC" }], ["kty rsa", { kty: "rsa" }], ["use enc", { use: "enc" }]]) {
  keysOnly(`an RSA key with ${name} (RFC 7517 4, RFC 7518 6.3)`, "key_not_found", [{ ...jwk(rs, { kid: "rs" }), ...more }, ES], rsToken(rs));
}
keysOnly("an RSA key with its private members (RFC 7517 9.2)", "key_not_found", [{ ...rs.privateKey.export({ format: "jwk" }), kid: "rs" }], rsToken(rs));
// ECDSA on P-384, as on P-256 above.
{
  const made = token(header({ alg: "ES384", kid: "e3" }), claims(), { alg: "ES384", key: es3 });
  const [h, p, s] = made.split(".");
  const bytes = Buffer.from(s, "base64url");
  const [r, v, zero] = [bytes.subarray(0, 48), bytes.subarray(48), Buffer.alloc(48)];
  const n = Buffer.from("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", "hex");
  for (const [name, value] of Object.entries({
    "r = 0": [zero, v], "s = 0": [r, zero], "r = s = 0 (CVE-2022-21449)": [zero, zero], "r = n": [n, v], "s = n": [r, n], "r and s exchanged": [v, r], "64 bytes": [bytes.subarray(0, 64)], "98 bytes": [Buffer.from([0]), r, Buffer.from([0]), v],
    DER: [Buffer.from([0x30, 0x64, 0x02, 0x30]), r, Buffer.from([0x02, 0x30]), v], "P-256's signature": [signature("ES256", es, `${h}.${p}`)],
    "SHA-256 under ES384": [signWith("sha256", Buffer.from(`${h}.${p}`), { key: es3.privateKey, ...raw })],
  })) add(`ECDSA with P-384: ${name}`, "signature_mismatch", `${h}.${p}.${b64(Buffer.concat(value))}`);
  const [h2, p2] = good.split(".");
  add("ECDSA: SHA-384 under ES256", "signature_mismatch", `${h2}.${p2}.${b64(signWith("sha384", Buffer.from(`${h2}.${p2}`), { key: es.privateKey, ...raw }))}`);
  const E3 = jwk(es3, { kid: "e3" });
  const change = (member, change) => ({ [member]: b64(change(Buffer.from(E3[member], "base64url"))) });
  for (const [name, more, expect] of [["crv P-256", { crv: "P-256" }, "key_not_found"], ["x of 32 bytes", change("x", (x) => x.subarray(0, 32)), "key_not_found"], ["y of 47 bytes", change("y", (y) => y.subarray(1)), "key_not_found"],
    ["y of 49 bytes", change("y", (y) => Buffer.concat([Buffer.from([0]), y])), "key_not_found"], ["another y", change("y", (y) => y.map((byte) => byte ^ 1)), "signature_mismatch"], ["x and y exchanged", { x: E3.y, y: E3.x }, "signature_mismatch"]]) {
    keysOnly(`P-384 with ${name}`, expect, [{ ...E3, ...more }, ES], made);
  }
}
// Ed25519 where RFC 8032 §5.1.7 leaves a choice: both engines take the equation without the cofactor.
{
  const P = 2n ** 255n - 19n;
  const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
  const mod = (value, by = P) => ((value % by) + by) % by;
  const power = (base, exponent) => {
    let [result, square] = [1n, mod(base)];
    for (let left = exponent; left > 0n; left >>= 1n) {
      if (left & 1n) result = mod(result * square);
      square = mod(square * square);
    }
    return result;
  };
  const inverse = (value) => power(value, P - 2n);
  const D = mod(-121665n * inverse(121666n));
  const root = (y) => {
    const square = mod((y * y - 1n) * inverse(D * y * y + 1n));
    const x = power(square, (P + 3n) / 8n);
    return mod(x * x - square) === 0n ? x : mod(x * power(2n, (P - 1n) / 4n));
  };
  const plus = ([x1, y1], [x2, y2]) => {
    const both = mod(D * x1 * x2 * y1 * y2);
    return [mod((x1 * y2 + x2 * y1) * inverse(1n + both)), mod((y1 * y2 + x1 * x2) * inverse(1n - both))];
  };
  const times = (scalar, point) => {
    let [result, double] = [[0n, 1n], point];
    for (let left = scalar; left > 0n; left >>= 1n) {
      if (left & 1n) result = plus(result, double);
      double = plus(double, double);
    }
    return result;
  };
  const little = (value) => Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
  const number = (bytes) => BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
  const encoded = ([x, y]) => little(y | ((x & 1n) << 255n));
  const baseY = mod(4n * inverse(5n));
  const baseX = root(baseY);
  const base = [baseX & 1n ? P - baseX : baseX, baseY];
  const eightY = number(Buffer.from("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", "base64url"));
  const eight = [root(eightY), eightY];
  const secret = mod(number(randomBytes(32)), ORDER);
  const honest = times(secret, base);
  /** A token by `key`, whose R is `commit`, and what its equation's hash is. */
  const made = (key, commit, nonce, jti) => {
    const signed = `${b64(text(header({ alg: "EdDSA", kid: "ed" })))}.${b64(text(claims({ jti })))}`;
    const hash = mod(number(createHash("sha512").update(encoded(commit)).update(encoded(key)).update(signed).digest()), ORDER);
    return { hash, token: `${signed}.${b64(Buffer.concat([encoded(commit), little(mod(nonce + hash * secret, ORDER))]))}` };
  };
  const keys = (point) => [{ kty: "OKP", crv: "Ed25519", x: b64(encoded(point)), kid: "ed" }];
  const nonce = mod(number(randomBytes(32)), ORDER);
  const commit = times(nonce, base);
  keysOnly("Ed25519: a signature made by hand", "allow", keys(honest), made(honest, commit, nonce, "1").token);
  for (const order of [2n, 4n, 8n]) {
    const more = times(8n / order, eight);
    keysOnly(`Ed25519: R with a part of order ${order}, which the cofactor would hide`, "signature_mismatch", keys(honest), made(honest, plus(commit, more), nonce, "2").token);
  }
  keysOnly("Ed25519: R is the neutral point, and the equation holds", "signature_mismatch", keys(honest), made(honest, [0n, 1n], 0n, "3").token);
  keysOnly("Ed25519: R is the neutral point, beyond the prime", "signature_mismatch", keys(honest), made(honest, [0n, 1n], 0n, "3").token.replace(/[^.]*$/, (s) => b64(Buffer.concat([little(P + 1n), Buffer.from(s, "base64url").subarray(32)]))));
  const mixed = plus(honest, eight);
  const [hidden, held] = [new Set(), new Set()];
  for (let jti = 0; hidden.size + held.size < 2; jti += 1) {
    const one = made(mixed, commit, nonce, `${jti}`);
    const kind = one.hash % 8n === 0n ? held : hidden;
    if (kind.size === 0) kind.add(one.token);
  }
  keysOnly("Ed25519: a key with a part of order 8 that the equation does not see", "allow", keys(mixed), [...held][0]);
  keysOnly("Ed25519: a key with a part of order 8 that the cofactor would hide", "signature_mismatch", keys(mixed), [...hidden][0]);
  const own = made(honest, commit, nonce, "1").token;
  const x = encoded(honest);
  for (const [name, value] of [["31 bytes", x.subarray(1)], ["33 bytes", Buffer.concat([x, Buffer.from([0])])], ["the prime", little(P)], ["the prime + 1", little(P + 1n)], ["the prime + 3", little(P + 3n)], ["the prime + 18", little(P + 18n)],
    ["0 with the other sign", little(1n << 255n)], ["-1 with the other sign", little((P - 1n) | (1n << 255n))], ["a point of order 8 with the other sign", encoded([P - eight[0], eight[1]])], ["the other point of order 8", encoded([eight[0], P - eight[1]])]]) {
    keysOnly(`Ed25519: x of ${name} (RFC 8032 5.1.3)`, "key_not_found", [{ ...keys(honest)[0], x: b64(value) }, ES], own);
  }
  let off = 2n;
  while (mod(root(off) ** 2n * (D * off * off + 1n) - (off * off - 1n)) === 0n) off += 1n;
  keysOnly("Ed25519: x of no point", "signature_mismatch", [{ ...keys(honest)[0], x: b64(little(off)) }], own);
  for (const [name, more] of [["crv X25519", { crv: "X25519" }], ["crv Ed448", { crv: "Ed448" }], ["crv in lower case", { crv: "ed25519" }], ["crv missing", { crv: undefined }], ["kty EC", { kty: "EC" }], ["alg ES256", { alg: "ES256" }], ["x missing", { x: undefined }]]) {
    keysOnly(`Ed25519: a key with ${name}`, "key_not_found", [{ ...keys(honest)[0], ...more }, ES], own);
  }
  for (const alg of ["EdDSA", "Ed25519"]) keysOnly(`Ed25519: a key with alg ${alg}: the two names are one`, "allow", [{ ...keys(honest)[0], alg }], own);
}
// Numbers as JSON may write them (RFC 8259 §6): the same second.
for (const [written, expect] of [["1795000600.0", "allow"], ["1.7950006e9", "allow"], ["17950006E+2", "allow"], ["1795000600.00000000000000000000000001", "allow"], ["-0", "expired"], ["1e-300", "expired"], ["-1e-300", "expiry_missing"],
  ["-1795000600", "expiry_missing"], ["01795000600", "malformed_payload"], ["+1795000600", "malformed_payload"], ["0x6afd7e58", "malformed_payload"], ["1e999", "malformed_payload"], ["-1e999", "malformed_payload"], ["1".repeat(400), "malformed_payload"],
  ["Infinity", "malformed_payload"], ["NaN", "malformed_payload"], [".5", "malformed_payload"], ["1795000600.", "malformed_payload"], ["1_795_000_600", "malformed_payload"], ["18446744073709551616", "allow"]]) {
  body(`exp written as ${written.length > 60 ? `${written.length} digits` : written}`, expect, JSON.stringify(claims()).replace(`${NOW + 600}`, written));
}
for (const [name, late] of [["nbf", "not_yet_valid"], ["iat", "issued_in_future"]]) {
  for (const [written, expect] of [["1e300", late], ["9223372036854775808", late], ["1795000030.0005", late], ["1795000029.9995", "allow"], ["-0", "allow"], ["-1", "malformed_claim"], ["1e999", "malformed_payload"]]) {
    body(`${name} written as ${written}`, expect, JSON.stringify({ ...claims(), [name]: "#" }).replace('"#"', written));
  }
  at(`${name} now without skew`, "allow", { [name]: NOW }, { rule: { clockSkewSeconds: 0 } });
  at(`${name} now + 0.5 without skew`, late, { [name]: NOW + 0.5 }, { rule: { clockSkewSeconds: 0 } });
}
at("iat a string, where the rule has a longest lifetime", "malformed_claim", { iat: `${NOW}` }, lifetime);
at("exp missing wins over nbf to come", "expiry_missing", { exp: null, nbf: NOW + 900 });
// Registered claims have their types, also where the rule asks for none of them.
for (const [name, values] of Object.entries({ iss: [1, null, ["https://idp.example.com"], {}, true], aud: [1, null, {}, [1], ["scim", null], true], jti: [1, null, ["x"], {}, true], sub: [1, true] })) {
  for (const value of values) at(`${name} ${shown(value)} where nobody asks for it`, "malformed_claim", { [name]: value });
}
for (const aud of ["anything", [], ["a", "b"]]) at(`aud ${shown(aud)} where nobody asks for it`, "allow", { aud });
for (const [aud, expect] of [[["SCIM", "scim"], "allow"], [["scim", "scim"], "allow"], ["scim ", "audience_mismatch"], ["sc\u0131m", "audience_mismatch"], [["scim "], "audience_mismatch"], ["scim\u0000", "audience_mismatch"], [Array.from({ length: 200 }, (_, i) => `a${i}`), "audience_mismatch"]]) {
  at(`aud ${shown(aud)} is compared as it is (RFC 7519 4.1.3)`, expect, { aud }, audience);
}
for (const iss of ["https://idp.example.com#", "https://idp.example.com?", "https://idp.example.com ", "https://idp.ex\u0430mple.com", "https://idp.example.com\u0000", "", "https://user@idp.example.com", "https://idp.example.com//"]) {
  at(`iss ${shown(iss)} is another (RFC 8725 3.8)`, "issuer_not_trusted", { iss }, issuer);
}
// Claims of the rule: blanks of a setting are trimmed and nothing of a token is, what numbers are called, what a pointer finds (RFC 6901).
for (const [sub, expect] of [["\tTEST098H0000\n", "claim_mismatch"], ["\u00a0TEST098H0000", "claim_mismatch"], ["\ufeffTEST098H0000", "claim_mismatch"], ["\u200bTEST098H0000", "claim_mismatch"], ["TEST 098H0000", "claim_mismatch"], ["TEST098H0000\u0000", "claim_mismatch"],
  ["TEST098H0000\u200d", "claim_mismatch"], ["\uff34EST098H0000", "claim_mismatch"], ["TEST098H000O", "claim_mismatch"]]) {
  body(`sub ${JSON.stringify(sub).replace(/[^ -~]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`)}`, expect, claims({ sub }));
}
matches("n", "100", "allow", { n: 100 });
for (const [written, expect] of [["1e2", "claim_mismatch"], ["100.0", "claim_mismatch"], ['"100"', "allow"], ["[100]", "claim_mismatch"]]) {
  body(`n is 100: written as ${written}`, expect, JSON.stringify(claims({ n: "#" })).replace('"#"', written), { rule: { claims: [{ field: "n", value: "100" }] } });
}
matches("n", "-1", "allow", { n: -1 });
matches("n", "9007199254740993", "allow", { n: "9007199254740993" });
matches("n", "", "claim_mismatch", { n: [] });
matches("n", "", "claim_mismatch", { n: {} });
matches("n", "", "allow", { n: "" });
matches("t", "True", "claim_mismatch", { t: true });
matches("t", "false", "allow", { t: false });
matches("t", "0", "claim_mismatch", { t: false });
matches("t", "true", "claim_mismatch", { t: [true] });
matches("a", "[object Object]", "claim_mismatch", { a: { b: 1 } });
matches("/a~0b", "x", "allow", { "a~b": "x" });
matches("/a~01b", "x", "allow", { "a~1b": "x" });
matches("/", "x", "allow", { "": "x" });
matches("/groups/-", "x", "claim_mismatch", { groups: ["x"] });
matches("/groups/1", "x", "claim_mismatch", { groups: ["x"] });
matches("/groups/+0", "x", "claim_mismatch", { groups: ["x"] });
matches("/groups", "x", "allow", { groups: ["y", "x"] });
matches("/deep/0/roles", "x", "allow", { deep: [{ roles: ["x"] }] });
matches("toString", "x", "claim_mismatch", {});
matches("hasOwnProperty", "function", "claim_mismatch", {});
matches("realm_access.roles", "x", "claim_mismatch", { realm_access: { roles: ["x"] } });
matches("/realm_access/roles", "x", "allow", { realm_access: { roles: ["x"] } });
matches("iss", "https://idp.example.com", "allow", {});
matches("aud", "scim", "allow", { aud: ["other", "scim"] });
matches("name", "\u00e9", "allow", { name: "\u00e9" });
matches("name", "\u00e9", "claim_mismatch", { name: "\u00c9" });
at("an empty list of claims", "allow", {}, { rule: { claims: [] } });
at("a claim asked for twice with two values", "claim_mismatch", {}, { rule: { claims: [{ field: "sub", value: "TEST098H0000" }, { field: "sub", value: "OTHER" }] } });
at("a claim asked for twice, an array with both", "allow", { groups: ["a", "b"] }, { rule: { claims: [{ field: "groups", value: "a" }, { field: "groups", value: "b" }] } });

const names = new Set(cases.map((one) => one.name));
if (names.size !== cases.length) throw new Error(`names stand twice: ${cases.map((one) => one.name).filter((name, place, all) => all.indexOf(name) !== place)}`);
const rule = { name: "default", jwksUrl: "https://idp.example.com/keys", claims: [{ field: "sub", value: "TEST098H0000" }], serviceAccount: "provisioner", clockSkewSeconds: 30 };
const lines = cases.map((one) => JSON.stringify(one)).join(",\n");
const about = "Tokens and what becomes of them at a time (nowMs), by a rule (changed by the case's) and key sets (by name, or the case's own): allow, or the reason.";
writeFileSync(new URL("./tokens.json", import.meta.url), `{"about":${JSON.stringify(about)},\n"nowMs":${NOW * 1000},\n"rule":${JSON.stringify(rule)},\n"sets":${JSON.stringify(sets)},\n"cases":[\n${lines}\n]}\n`);
console.log(`${cases.length} cases`);
