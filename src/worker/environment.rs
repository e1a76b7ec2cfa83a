//! The Worker's bindings and secrets.

use base64::Engine as _;
use js_sys::Reflect;
use scim_edge_account::secret::SealKeys;
use scim_edge_policy::hop;
use scim_edge_policy::region::listed;
use sha2::{Digest, Sha256};
use std::cell::OnceCell;
use subtle::ConstantTimeEq;
use wasm_bindgen::JsValue;
use worker::kv::KvStore;
use worker::{Env, Error, ObjectNamespace, Result};

thread_local! {
    static READ_COPIES: OnceCell<&'static [&'static str]> = const { OnceCell::new() };
}

/// What the Worker runs with.
pub(crate) struct Environment {
    env: Env,
}

impl Environment {
    pub(crate) fn new(env: Env) -> Self {
        Self { env }
    }

    /// Published account documents, by `account:{identifier}`.
    pub(crate) fn settings(&self) -> Result<KvStore> {
        self.env.kv("SETTINGS")
    }

    /// Issuers' key sets, by `jwks:{SHA-256 of the URL}`.
    pub(crate) fn key_sets(&self) -> Result<KvStore> {
        self.env.kv("JWKS")
    }

    pub(crate) fn accounts(&self) -> Result<ObjectNamespace> {
        self.env.durable_object("ACCOUNT")
    }

    pub(crate) fn directories(&self) -> Result<ObjectNamespace> {
        self.env.durable_object("DIRECTORY")
    }

    /// The bindings as the host has them.
    pub(crate) fn bindings(&self) -> &JsValue {
        self.env.as_ref()
    }

    /// A binding that need not be there.
    pub(crate) fn binding(&self, name: &str) -> Option<JsValue> {
        let value = Reflect::get(&self.env, &name.into()).ok()?;
        value.is_object().then_some(value)
    }

    /// Whether all is there that the Worker cannot do without: bindings, secrets, and KV that answers.
    pub(crate) async fn is_ready(&self) -> bool {
        let secrets = self.env.secret("ROOT_API_KEY").is_ok() && self.seal_keys().is_ok();
        let objects = self.accounts().is_ok() && self.directories().is_ok();
        let stores = [self.settings(), self.key_sets()];
        for store in stores {
            let Ok(store) = store else { return false };
            if store.get("readyz").text().await.is_err() {
                return false;
            }
        }
        secrets && objects
    }

    /// The regions that have copies of accounts' directories: none, unless the deployment says so.
    pub(crate) fn read_copies(&self) -> &'static [&'static str] {
        READ_COPIES.with(|known| {
            *known.get_or_init(|| {
                let text = self.env.var("READ_COPIES").map(|text| text.to_string()).unwrap_or_default();
                // Once an isolate.
                Vec::leak(listed(&text))
            })
        })
    }

    /// Whether URLs may name loopback addresses over http: for local runs, never for a deployment.
    pub(crate) fn is_development(&self) -> bool {
        self.env.var("DEVELOPMENT").is_ok_and(|value| value.to_string() == "true")
    }

    /// Whether a text is the root key. Hashes are compared, in constant time; without a root key of
    /// some length nothing is.
    pub(crate) fn is_root_key(&self, text: &str) -> bool {
        let Ok(key) = self.env.secret("ROOT_API_KEY") else { return false };
        let key = key.to_string();
        let same = Sha256::digest(key.as_bytes())[..].ct_eq(&Sha256::digest(text.as_bytes())[..]);
        key.len() >= 16 && bool::from(same)
    }

    /// What this deployment calls an account among the hops of a request.
    pub(crate) fn hop(&self, account: &str) -> Result<String> {
        Ok(hop::own(&self.seal_keys()?.current, account))
    }

    /// The keys that secrets at rest are sealed with.
    pub(crate) fn seal_keys(&self) -> Result<SealKeys> {
        let wrong = || Error::RustError("the secret SECRETS_KEY must be 32 bytes in base64".to_owned());
        let key = |text: String| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).map_err(|_| wrong())?;
            bytes.try_into().map_err(|_| wrong())
        };
        let current = key(self.env.secret("SECRETS_KEY").map_err(|_| wrong())?.to_string())?;
        let previous = self.env.secret("SECRETS_KEY_PREVIOUS").ok().map(|text| key(text.to_string()));
        Ok(SealKeys { current, previous: previous.transpose()? })
    }
}

/// Milliseconds since the epoch.
// The clock of Workers is a whole number of milliseconds, far below 2^53.
#[allow(clippy::cast_possible_truncation)]
pub(crate) fn now_ms() -> i64 {
    js_sys::Date::now() as i64
}

/// Fresh random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::RustError("no randomness".to_owned()))?;
    Ok(bytes)
}

/// A fresh UUID (RFC 9562, version 4), or nothing where the host has no randomness.
pub(crate) fn new_uuid() -> Option<String> {
    let mut bytes: [u8; 16] = random().ok()?;
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Some([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}
