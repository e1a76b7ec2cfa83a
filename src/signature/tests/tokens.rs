//! The attack classes of token verification, on tokens signed here.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod support;

use jwt_simple::prelude::*;
use scim_edge_policy::encoding::{decode, encode};
use scim_edge_policy::refusal::Reason;
use scim_edge_policy::rule::TrustRule;
use serde_json::{Map, Value, json};
use support::{decide, rule};

const NOW: i64 = 1_795_000_000;

/// One issuer with a key of each kind.
struct Issuer {
    es256: ES256KeyPair,
    ed25519: Ed25519KeyPair,
    rs256: RS256KeyPair,
}

impl Issuer {
    fn new() -> Self {
        Self {
            es256: ES256KeyPair::generate().with_key_id("es"),
            ed25519: Ed25519KeyPair::generate().with_key_id("ed"),
            rs256: RS256KeyPair::generate(2048).unwrap().with_key_id("rs"),
        }
    }

    fn keys(&self) -> String {
        let with = |jwk: String, kid: &str| {
            let mut jwk: Value = serde_json::from_str(&jwk).unwrap();
            jwk["kid"] = kid.into();
            jwk
        };
        let keys = [
            with(self.es256.public_key().to_jwk(), "es"),
            with(self.ed25519.public_key().to_jwk(), "ed"),
            with(self.rs256.public_key().to_jwk(), "rs"),
        ];
        json!({ "keys": keys }).to_string()
    }

    /// Signs exactly these texts, well-formed or not, with the ES256 key.
    fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        use p256_sign::sign;
        format!("{signed}.{}", encode(&sign(&self.es256, signed.as_bytes())))
    }
}

/// jwt-simple signs only headers of its own making; the key it made signs any here.
mod p256_sign {
    use jwt_simple::prelude::ES256KeyPair;
    use p256::ecdsa::{Signature, SigningKey, signature::Signer};

    pub fn sign(key: &ES256KeyPair, message: &[u8]) -> Vec<u8> {
        let key = SigningKey::from_slice(&key.to_bytes()).unwrap();
        let signature: Signature = key.sign(message);
        signature.to_bytes().to_vec()
    }
}

fn claims() -> Map<String, Value> {
    let claims = json!({ "iss": "https://idp.example.com", "aud": "scim", "sub": "TEST098H0000", "iat": NOW, "exp": NOW + 600 });
    claims.as_object().unwrap().clone()
}

fn header() -> Map<String, Value> {
    json!({ "alg": "ES256", "kid": "es", "typ": "JWT" }).as_object().unwrap().clone()
}

fn with(mut object: Map<String, Value>, name: &str, value: Value) -> String {
    object.insert(name.into(), value);
    Value::Object(object).to_string()
}

fn text(object: Map<String, Value>) -> String {
    Value::Object(object).to_string()
}

struct Bench {
    issuer: Issuer,
    keys: String,
    rule: TrustRule,
    cases: usize,
}

impl Bench {
    fn new() -> Self {
        let issuer = Issuer::new();
        let keys = issuer.keys();
        Self { issuer, keys, rule: rule(&[("sub", "TEST098H0000")]), cases: 0 }
    }

    #[track_caller]
    fn token(&mut self, token: &str, expected: Result<(), Reason>) {
        self.cases += 1;
        let found =
            decide(&self.keys, &self.rule, token, NOW * 1000).map(|_| ()).map_err(|refusal| refusal.reason);
        assert_eq!(found, expected, "{}", token.chars().take(300).collect::<String>());
    }

    /// jwt-simple reads header and claims too, and says no where a type is not its own: the token is
    /// refused either way.
    #[track_caller]
    fn refused(&mut self, header: &str, payload: &str, expected: Option<Reason>) {
        self.cases += 1;
        let token = self.issuer.sign(header.as_bytes(), payload.as_bytes());
        match decide(&self.keys, &self.rule, &token, NOW * 1000) {
            Ok(_) => assert_eq!(expected, None, "{header} {payload}"),
            Err(refusal) => assert!(
                refusal.reason == Reason::SignatureMismatch || Some(refusal.reason) == expected,
                "{refusal}: {header} {payload}"
            ),
        }
    }

    #[track_caller]
    fn header(&mut self, header: &str, expected: Result<(), Reason>) {
        let token = self.issuer.sign(header.as_bytes(), text(claims()).as_bytes());
        self.token(&token, expected);
    }

    #[track_caller]
    fn payload(&mut self, payload: &str, expected: Result<(), Reason>) {
        let token = self.issuer.sign(text(header()).as_bytes(), payload.as_bytes());
        self.token(&token, expected);
    }
}

#[test]
fn every_kind_of_key_verifies() {
    let bench = Bench::new();
    let claims = || {
        let mut claims = Claims::create(Duration::from_hours(1)).with_subject("TEST098H0000");
        claims.invalid_before = None;
        claims
    };
    let now = Clock::now_since_epoch().as_secs() as i64 * 1000;
    for token in [
        bench.issuer.es256.sign(claims()).unwrap(),
        bench.issuer.ed25519.sign(claims()).unwrap(),
        bench.issuer.rs256.sign(claims()).unwrap(),
    ] {
        let verified = decide(&bench.keys, &bench.rule, &token, now).unwrap();
        assert_eq!(verified.service_account(), "provisioner");
        assert_eq!(verified.subject(), Some("TEST098H0000"));
        let other = Issuer::new().keys();
        assert_eq!(decide(&other, &bench.rule, &token, now).unwrap_err().reason, Reason::SignatureMismatch);
    }
}

#[test]
fn headers() {
    use Reason::*;
    let mut bench = Bench::new();
    bench.header(&text(header()), Ok(()));
    for kind in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"] {
        bench.header(&with(header(), "typ", kind.into()), Ok(()));
    }
    let mut plain = header();
    plain.remove("typ");
    plain.remove("kid");
    bench.header(&text(plain), Ok(()));
    for kind in ["dpop+jwt", "logout+jwt", "secevent+jwt", "JOSE", "", "JWT ", "application/jwt"] {
        bench.header(&with(header(), "typ", kind.into()), Err(TypeNotAllowed));
    }
    for kind in [json!(null), json!(7), json!(["JWT"])] {
        bench.header(&with(header(), "typ", kind), Err(TypeNotAllowed));
    }
    // RFC 8725 §2.1: none in every spelling, and algorithms that take a public key for a secret.
    for name in [
        "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "es256", "ES512", "ES256K",
        "RSA-OAEP", "dir",
    ] {
        bench.header(&with(header(), "alg", name.into()), Err(AlgorithmNotAllowed));
    }
    for value in [json!(null), json!(256), json!(["ES256"]), json!({ "ES256": 1 })] {
        bench.header(&with(header(), "alg", value), Err(MalformedHeader));
    }
    // The key of another algorithm.
    for name in ["RS256", "PS256", "ES384", "EdDSA"] {
        bench.header(&with(header(), "alg", name.into()), Err(KeyNotFound));
    }
    // RFC 7515 §4.1.11: crit in every shape.
    for value in [
        json!([]),
        json!(null),
        json!(["exp"]),
        json!(["b64"]),
        json!(["alg"]),
        json!([""]),
        json!([1]),
        json!("b64"),
        json!({}),
        json!(true),
        json!(["x", "x"]),
    ] {
        bench.header(&with(header(), "crit", value), Err(ExtensionNotSupported));
    }
    for (name, value) in [
        ("b64", json!(true)),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("cty", json!("JWT")),
    ] {
        bench.header(&with(header(), name, value), Err(ExtensionNotSupported));
    }
    // RFC 8725 §3.10: keys and URLs in the token are not looked at.
    let jwk: Value = serde_json::from_str(&Issuer::new().es256.public_key().to_jwk()).unwrap();
    for (name, value) in [
        ("jwk", jwk),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/")),
        ("x5c", json!(["MII"])),
    ] {
        bench.refused(&with(header(), name, value), &text(claims()), None);
    }
    for kid in
        ["ed", "rs", "../../etc/passwd", "' OR 1=1 --", "__proto__", "constructor", "ES", "es\u{0}", ""]
    {
        bench.header(&with(header(), "kid", kid.into()), Err(KeyNotFound));
    }
    for kid in [json!(1), json!(null), json!(["es"]), json!("k".repeat(257)), json!(true)] {
        bench.header(&with(header(), "kid", kid), Err(MalformedHeader));
    }
    for broken in [
        r#"{"alg":"ES256","alg":"none"}"#,
        r#"{"alg":"ES256","\u0061lg":"none"}"#,
        r#"["ES256"]"#,
        r#""ES256""#,
        "null",
        "7",
        "",
        "{",
        "{\"alg\":\"ES256\"}x",
        "\u{feff}{\"alg\":\"ES256\"}",
        "{\"alg\":\"ES256\",}",
        "{'alg':'ES256'}",
        "{\"alg\":\"ES256\",\"x\":1e999}",
        "{\"alg\":\"ES256\",\"x\":\"\\ud800\"}",
        "{\"alg\":\"ES256\"/**/}",
        "{\"alg\":\"ES256\",\"x\":NaN}",
    ] {
        let expected = if broken.is_empty() { MalformedToken } else { MalformedHeader };
        bench.header(broken, Err(expected));
    }
    bench.header(
        &format!(r#"{{"alg":"ES256","x":{}1{}}}"#, "[".repeat(40), "]".repeat(40)),
        Err(MalformedHeader),
    );
    bench.header(&with(header(), "x", "y".repeat(4096).into()), Err(MalformedHeader));
    println!("{} headers", bench.cases);
}

#[test]
fn claims_of_every_shape() {
    use Reason::*;
    let mut bench = Bench::new();
    bench.payload(&text(claims()), Ok(()));
    for exp in [json!(null), json!("1795000600"), json!(true), json!([1]), json!({}), json!(-1), json!("")] {
        bench.refused(&text(header()), &with(claims(), "exp", exp), Some(ExpiryMissing));
    }
    let mut eternal = claims();
    eternal.remove("exp");
    bench.payload(&text(eternal), Err(ExpiryMissing));
    for (exp, expected) in [
        (json!(NOW), Ok(())),
        (json!(NOW - 29), Ok(())),
        (json!(NOW - 30), Err(Expired)),
        (json!(NOW - 31), Err(Expired)),
        (json!(NOW as f64 - 29.5), Ok(())),
        (json!(0), Err(Expired)),
        (json!(9_223_372_036_854_775_808_u64), Ok(())),
    ] {
        bench.payload(&with(claims(), "exp", exp), expected);
    }
    for name in ["nbf", "iat"] {
        let late = if name == "nbf" { NotYetValid } else { IssuedInFuture };
        bench.payload(&with(claims(), name, json!(NOW + 30)), Ok(()));
        bench.payload(&with(claims(), name, json!(NOW + 31)), Err(late));
        for value in [json!(null), json!("1"), json!(true), json!([1]), json!(-5)] {
            bench.refused(&text(header()), &with(claims(), name, value), Some(MalformedClaim));
        }
    }
    bench.payload(&with(claims(), "cnf", json!({ "jkt": "x" })), Err(SenderConstrained));
    bench.payload(&with(claims(), "sub", json!("OTHER")), Err(ClaimMismatch));
    bench.payload(&with(claims(), "sub", json!("TEST098H0000 ")), Ok(()));
    bench.payload(&with(claims(), "sub", json!("test098h0000")), Err(ClaimMismatch));
    bench.payload(&with(claims(), "sub", json!("TEST098H00001")), Err(ClaimMismatch));
    for broken in [
        r#"{"exp":1,"exp":2}"#,
        r#"{"exp":1,"\u0065xp":2}"#,
        "[]",
        "null",
        "7",
        "{",
        "\u{feff}{}",
        "{\"exp\":1e999}",
    ] {
        bench.payload(broken, Err(MalformedPayload));
    }
    bench.payload(&with(claims(), "x", "y".repeat(12 << 10).into()), Err(TokenTooLong));
    bench.payload(&format!("{{\"x\":{}1{}}}", "[".repeat(33), "]".repeat(33)), Err(MalformedPayload));

    bench.rule.issuer = Some("https://idp.example.com".into());
    bench.rule.audiences = vec!["scim".into(), "other".into()];
    bench.payload(&text(claims()), Ok(()));
    for issuer in [
        json!("https://idp.example.com/"),
        json!("HTTPS://idp.example.com"),
        json!("https://evil.example"),
        json!(["https://idp.example.com"]),
        json!(null),
    ] {
        bench.payload(&with(claims(), "iss", issuer), Err(IssuerNotTrusted));
    }
    for audience in [json!("other"), json!(["x", "scim"])] {
        bench.payload(&with(claims(), "aud", audience), Ok(()));
    }
    for audience in [json!("SCIM"), json!("scim2"), json!([]), json!(["x"]), json!("scim,other")] {
        bench.payload(&with(claims(), "aud", audience), Err(AudienceMismatch));
    }
    bench.rule.max_lifetime_seconds = Some(600);
    bench.payload(&text(claims()), Ok(()));
    bench.payload(&with(claims(), "exp", json!(NOW + 601)), Err(LifetimeTooLong));
    let mut undated = claims();
    undated.remove("iat");
    bench.payload(&text(undated), Err(LifetimeTooLong));
    println!("{} payloads", bench.cases);
}

#[test]
fn tokens_of_every_form() {
    use Reason::*;
    let mut bench = Bench::new();
    let good = bench.issuer.sign(text(header()).as_bytes(), text(claims()).as_bytes());
    bench.token(&good, Ok(()));
    let parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    let (head, body, signature) = (&parts[0], &parts[1], &parts[2]);
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        head.clone(),
        format!("{head}.{body}"),
        format!("{head}.{body}."),
        format!("{head}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.x"),
        format!("{head}.{body}.{signature}.{signature}.{signature}"),
        format!("{head}.{body}.{signature}="),
        format!("{head}=.{body}.{signature}"),
        format!("{head}.{body}.{signature}\n"),
        format!(" {good}"),
        format!("{head}.{body} .{signature}"),
        format!("{head}.{body}.{}+", &signature[1..]),
        format!("{head}.{body}.é{signature}"),
        format!("{{\"payload\":\"{body}\",\"signatures\":[]}}"),
        ".".repeat(1000),
    ] {
        bench.token(&token, Err(MalformedToken));
    }
    bench.token(&".".repeat(100_000), Err(TokenTooLong));
    // Bits left over at the end of the signature: another spelling of the same bytes.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    let twin = alphabet.chars().nth(place ^ 1).unwrap();
    bench.token(&format!("{head}.{body}.{}{twin}", &signature[..signature.len() - 1]), Err(MalformedToken));
    // The signature itself.
    let bytes = decode(signature).unwrap();
    let (r, s) = bytes.split_at(32);
    let mut forged: Vec<Vec<u8>> = (0..bytes.len())
        .step_by(3)
        .map(|i| {
            let mut b = bytes.clone();
            b[i] ^= 1;
            b
        })
        .collect();
    forged.push(vec![0; 64]);
    forged.push([r, &[0; 32]].concat());
    forged.push([&[0; 32], s].concat());
    forged.push([s, r].concat());
    forged.push(bytes[..63].to_vec());
    forged.push([&bytes[..], &[0]].concat());
    forged.push([&[0x30, 0x44, 0x02, 0x20], r, &[0x02, 0x20], s].concat());
    forged.push(vec![0xff; 64]);
    forged.push(vec![1]);
    for signature in forged {
        bench.token(&format!("{head}.{body}.{}", encode(&signature)), Err(SignatureMismatch));
    }
    // A body that was not signed.
    let other = encode(with(claims(), "sub", json!("OTHER")).as_bytes());
    bench.token(&format!("{head}.{other}.{signature}"), Err(SignatureMismatch));
    println!("{} tokens", bench.cases);
}
