// Makes tests/cases/tokens.json: tokens of every attack class, signed with keys made here and thrown
// away, each with the reason it has to be refused with, or "allow". Run it to make them anew:
// `node tests/cases/make-tokens.mjs`.

import { constants, createHmac, generateKeyPairSync, sign as signWith } from "node:crypto";
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
keysOnly("a private member: it is not looked at", "allow", [{ ...ES, d: es.privateKey.export({ format: "jwk" }).d }]);
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
// The rule's claims.
for (const [sub, expect] of [["OTHER", "claim_mismatch"], ["TEST098H0000 ", "allow"], [" TEST098H0000", "allow"], ["test098h0000", "claim_mismatch"], ["TEST098H00001", "claim_mismatch"], ["TEST098H000", "claim_mismatch"], ["", "claim_mismatch"], [["TEST098H0000"], "claim_mismatch"], [null, "claim_mismatch"], [{}, "claim_mismatch"]]) {
  at(`sub ${shown(sub)}`, Array.isArray(sub) || (sub !== null && typeof sub === "object") || sub === null ? "malformed_claim" : expect, { sub });
}
const matches = (field, value, expect, more) => at(`${field} is ${value}: ${shown(more)}`, expect, more, { rule: { claims: [{ field, value }] } });
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
// The rule's algorithms.
add("an algorithm that the rule does not take", "algorithm_not_allowed", good, { rule: { algorithms: ["RS256"] } });
add("an algorithm that the rule takes", "allow", good, { rule: { algorithms: ["RS256", "ES256"] } });
add("a nested JWT (RFC 7519 11.2)", "extension_not_supported", token(header({ cty: "JWT" }), good));
add("a JWT as payload without cty", "malformed_payload", token(header(), good));

const names = new Set(cases.map((one) => one.name));
if (names.size !== cases.length) throw new Error(`names stand twice: ${cases.map((one) => one.name).filter((name, place, all) => all.indexOf(name) !== place)}`);
const rule = { name: "default", jwksUrl: "https://idp.example.com/keys", claims: [{ field: "sub", value: "TEST098H0000" }], serviceAccount: "provisioner", clockSkewSeconds: 30 };
const lines = cases.map((one) => JSON.stringify(one)).join(",\n");
const about = "Tokens and what becomes of them at a time (nowMs), by a rule (changed by the case's) and key sets (by name, or the case's own): allow, or the reason.";
writeFileSync(new URL("./tokens.json", import.meta.url), `{"about":${JSON.stringify(about)},\n"nowMs":${NOW * 1000},\n"rule":${JSON.stringify(rule)},\n"sets":${JSON.stringify(sets)},\n"cases":[\n${lines}\n]}\n`);
console.log(`${cases.length} cases`);
