//! Damaged tokens and key sets: they are refused or taken, nothing panics, and nobody is let in by a token
//! that was not signed byte for byte.
//!
//! The tokens of `tests/cases/tokens.json` are damaged at random, alike in every run: `SCIM_EDGE_FUZZ` sets
//! how many times, `SCIM_EDGE_SEED` from where. No signature is computed: a host that never errs takes
//! those of the table's good tokens and no others, so that whatever is let in is the policy's own doing;
//! a host that believes everything shows what the policy holds to without it.
#![cfg(not(target_arch = "wasm32"))] // environment variables
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::unwrap_used)]

#[path = "../../../tests/cases/tokens.rs"]
mod cases;

use scim_edge_policy::algorithm::{Algorithm, KeyType};
use scim_edge_policy::encoding::{decode, encode};
use scim_edge_policy::key::Key;
use scim_edge_policy::key_set::{KEYS, KeySet};
use scim_edge_policy::refusal::Refusal;
use scim_edge_policy::rule::TrustRule;
use scim_edge_policy::token::{TOKEN_BYTES, Unverified};
use scim_edge_policy::verify::{Host, KeysUnavailable, Verified, at_once, verify};
use serde_json::Value;
use std::collections::HashSet;
use std::rc::Rc;

/// Bytes that mean something to one reader or another.
const WORDS: &[&str] = &[
    ".",
    "..",
    "=",
    "A",
    "-",
    "_",
    "+",
    "/",
    "%2e",
    " ",
    "\n",
    "\u{0}",
    "\u{feff}",
    "é",
    "{",
    "}",
    "[",
    "]",
    "[[[[[[[[",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0061",
    "\\ud800",
    "null",
    "true",
    "-1",
    "0.5",
    "1e999",
    "1795000000",
    "\"alg\":\"none\",",
    "\"alg\":\"RS256\",",
    "\"alg\":\"HS256\",",
    "\"kid\":\"ed\",",
    "\"kid\":null,",
    "\"typ\":\"at+jwt\",",
    "\"crit\":[],",
    "\"b64\":false,",
    "\"exp\":9e15,",
    "\"nbf\":null,",
    "\"aud\":[],",
    "\"sub\":\"TEST098H0000\",",
    "\"cnf\":{},",
    "\"\\u0065xp\":1,",
    "\"keys\":[],",
    "\"kty\":\"oct\",",
    "\"crv\":\"P-384\",",
    "\"use\":\"enc\",",
    "\"key_ops\":[],",
    "\"d\":\"AA\",",
    "\"e\":\"Aw\",",
    "\"x\":\"AA\",",
];

/// A generator of random numbers: xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).unwrap() % limit
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// One to three wounds, some of them with flesh of another text.
    fn damage(&mut self, text: &[u8], other: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(text.len() + 1);
            let end = at + self.below((text.len() - at).min(24) + 1);
            match self.below(8) {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..at, self.pick(WORDS).bytes())),
                2 => drop(text.splice(at..end, self.pick(WORDS).bytes())),
                3 if at < text.len() => text[at] ^= 1 << self.below(8),
                4 if at < text.len() => text[at] = u8::try_from(self.below(256)).unwrap(),
                5 => {
                    let part = text[at..end].to_vec();
                    let to = self.below(text.len() + 1);
                    drop(text.splice(to..to, part));
                }
                6 => {
                    let from = self.below(other.len() + 1);
                    let part = other[from..].iter().copied().take(end - at);
                    drop(text.splice(at..end, part));
                }
                _ if self.below(4) == 0 => text.truncate(at),
                _ => {}
            }
            text.truncate(2 * TOKEN_BYTES);
        }
        text
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}

/// Runs `one` as often as is asked for, and says how often it took what it got: a run that takes nothing,
/// or everything, sees one side only.
fn fuzz(what: &str, mut one: impl FnMut(&mut Random, &str) -> bool) {
    let (seed, rounds) = (setting("SCIM_EDGE_SEED", 7519), setting("SCIM_EDGE_FUZZ", 20_000));
    let mut random = Random(seed.max(1));
    let mut taken = 0;
    for round in 0..rounds {
        taken += u64::from(one(&mut random, &format!("seed {seed}, round {round}")));
    }
    println!("{what}: {rounds} executions, {taken} taken, seed {seed}");
    assert!(taken > rounds / 1000 && taken < rounds, "{taken} of {rounds} were taken");
}

struct Case {
    token: String,
    rule: TrustRule,
    keys: Rc<KeySet>,
    allowed: bool,
}

struct Table {
    cases: Vec<Case>,
    sets: Vec<Vec<u8>>,
    now_ms: i64,
    /// What was signed, and with what, of every good token.
    signed: HashSet<(Vec<u8>, Vec<u8>)>,
}

fn table() -> Table {
    let read = cases::table();
    let (mut cases, mut sets) = (Vec::new(), Vec::new());
    for case in read.cases {
        let text = case.keys.into_bytes();
        cases.push(Case {
            token: case.token,
            rule: case.rule,
            keys: Rc::new(KeySet::parse(&text).unwrap()),
            allowed: case.expect == "allow",
        });
        if !sets.contains(&text) {
            sets.push(text);
        }
    }
    let signed = cases.iter().filter(|case| case.allowed).map(|case| {
        let token = Unverified::parse(&case.token).unwrap();
        (token.signed().to_vec(), token.signature().to_vec())
    });
    Table { signed: signed.collect(), now_ms: read.now_ms, cases, sets }
}

/// A host whose signatures are those of the table's good tokens; or any at all.
struct Signatures<'a> {
    keys: Rc<KeySet>,
    known: Option<&'a HashSet<(Vec<u8>, Vec<u8>)>>,
}

impl Host for Signatures<'_> {
    async fn keys(&self, _: &TrustRule, _: Option<&str>) -> Result<Rc<KeySet>, KeysUnavailable> {
        Ok(self.keys.clone())
    }

    async fn check(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        assert_eq!(key.key_type(), algorithm.key_type());
        self.known.is_none_or(|known| known.contains(&(signed.to_vec(), signature.to_vec())))
    }
}

fn decide(table: &Table, case: &Case, token: &str, honest: bool) -> Result<Verified, Refusal> {
    let host = Signatures { keys: case.keys.clone(), known: honest.then_some(&table.signed) };
    let rules = std::slice::from_ref(&case.rule);
    at_once(verify(&host, rules, token, table.now_ms)).unwrap()
}

#[test]
fn no_damaged_token_is_let_in() {
    let table = table();
    let good: HashSet<&str> =
        table.cases.iter().filter(|case| case.allowed).map(|case| case.token.as_str()).collect();
    fuzz("tokens", |random, round| {
        let (case, other) = (random.pick(&table.cases), random.pick(&table.cases));
        let text = random.damage(case.token.as_bytes(), other.token.as_bytes());
        let text = String::from_utf8_lossy(&text);
        let taken = decide(&table, case, &text, true).is_ok();
        assert!(!taken || good.contains(text.as_ref()), "{round}: {text:?}");
        // What is read is what was written: no second spelling of a token.
        if let Ok(read) = Unverified::parse(&text) {
            assert!(text.len() <= TOKEN_BYTES, "{round}");
            let signed = std::str::from_utf8(read.signed()).unwrap();
            assert_eq!(format!("{signed}.{}", encode(read.signature())), text, "{round}");
        }
        taken
    });
}

/// A token's parts, decoded, as far as they are any.
fn parts(token: &str) -> Option<[Vec<u8>; 3]> {
    let parts: Vec<Vec<u8>> = token.split('.').map(decode).collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// The tokens of the table that can be taken apart and are not huge, good ones more often than others.
fn seeds(table: &Table) -> Vec<(&Case, [Vec<u8>; 3])> {
    let good = |case: &&Case| case.allowed;
    let short: Vec<&Case> = table.cases.iter().filter(|case| case.token.len() < 2000).collect();
    let all = short.iter().copied().chain(short.iter().copied().filter(good));
    all.filter_map(|case| Some((case, parts(&case.token)?))).collect()
}

#[test]
fn damaged_headers_and_claims_hold_to_the_policy() {
    let table = table();
    let seeds = seeds(&table);
    fuzz("headers and claims", |random, round| {
        let ((case, own), (_, other)) = (random.pick(&seeds), random.pick(&seeds));
        let mut all = own.clone();
        let damaged = random.below(2);
        all[damaged] = random.damage(&own[damaged], &other[damaged]);
        let token = all.map(|part| encode(&part)).join(".");
        let Ok(verified) = decide(&table, case, &token, false) else { return false };
        // Every signature was believed: what was let in must be so for its header and claims, as another
        // reader sees them.
        let [header, claims, _] = parts(&token).unwrap();
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let (header, claims) = (read(&header), read(&claims));
        assert_eq!(verified.claims(), &claims, "{round}");
        let algorithm = Algorithm::from_name(header["alg"].as_str().unwrap()).unwrap();
        assert!(case.rule.accepts(algorithm), "{round}");
        for name in ["crit", "b64", "zip", "enc", "cty"] {
            assert!(header.get(name).is_none(), "{round}: {name}");
        }
        let key = case.keys.keys().iter().find(|key| key.id() == verified.key()).unwrap();
        assert_eq!(key.key_type(), algorithm.key_type(), "{round}");
        assert!(header.get("kid").is_none_or(|kid| kid.as_str() == key.kid()), "{round}");
        let now = f64::from(u32::try_from(table.now_ms / 1000).unwrap());
        let skew = f64::from(case.rule.clock_skew_seconds);
        assert!(claims["exp"].as_f64().unwrap() + skew > now, "{round}");
        for name in ["nbf", "iat"] {
            assert!(claims.get(name).is_none_or(|time| time.as_f64().unwrap() <= now + skew), "{round}");
        }
        for name in ["iss", "sub", "jti"] {
            assert!(claims.get(name).is_none_or(Value::is_string), "{round}: {name}");
        }
        assert_eq!(claims.get("cnf").is_some(), case.rule.dpop, "{round}");
        let issuer = case.rule.issuer.as_deref();
        assert!(issuer.is_none() || claims["iss"].as_str() == issuer, "{round}");
        assert!(case.rule.claims.iter().all(|wanted| wanted.holds(&claims)), "{round}");
        true
    });
}

#[test]
fn damaged_key_sets_give_sound_keys_or_none() {
    let table = table();
    let sets: Vec<_> = table.sets.iter().filter(|set| set.len() < 4000).collect();
    fuzz("key sets", |random, round| {
        let (own, other) = (random.pick(&sets), random.pick(&sets));
        let text = random.damage(own, other);
        let Ok(set) = KeySet::parse(&text) else { return false };
        let read: Value = serde_json::from_slice(&text).unwrap();
        let written = read["keys"].as_array().unwrap();
        assert!(set.keys().len() <= KEYS, "{round}");
        assert!(!set.keys().is_empty() || set.exposed().next().is_some(), "{round}");
        assert_eq!(KeySet::parse(set.to_json().as_bytes()).as_ref(), Ok(&set), "{round}");
        for key in set.keys() {
            let jwk: Value = serde_json::from_str(key.jwk()).unwrap();
            let length = |name: &str| decode(jwk[name].as_str().unwrap()).unwrap().len();
            match key.key_type() {
                KeyType::Rsa => {
                    assert!((256..=1024).contains(&length("n")) && jwk["e"] == "AQAB", "{round}");
                }
                KeyType::P256 => assert_eq!((length("x"), length("y")), (32, 32), "{round}"),
                KeyType::P384 => assert_eq!((length("x"), length("y")), (48, 48), "{round}"),
                KeyType::Ed25519 => assert_eq!(length("x"), 32, "{round}"),
            }
            // No key but one that is written there, for signatures, and nothing secret of it.
            let source = written.iter().any(|written| {
                jwk.as_object().unwrap().iter().all(|(name, value)| written.get(name) == Some(value))
                    && written.get("use").is_none_or(|used| used == "sig")
            });
            assert!(source, "{round}: {jwk}");
            let secrets = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
            assert!(secrets.iter().all(|name| jwk.get(name).is_none()), "{round}");
            // None whose private half is there, in whichever entry.
            let exposes = |written: &Value| {
                let public = jwk.as_object().unwrap().iter();
                public.clone().all(|(name, value)| written.get(name) == Some(value))
                    && secrets.iter().any(|name| written.get(name).is_some())
            };
            let usable = |written: &&Value| {
                let mut members = written.as_object().cloned().unwrap_or_default();
                members.retain(|name, _| ["kty", "crv", "n", "e", "x", "y"].contains(&name.as_str()));
                Key::from_jwk(&members).is_some()
            };
            assert!(!written.iter().filter(usable).any(exposes), "{round}: {jwk}");
        }
        true
    });
}
