//! Signatures of this deployment: exports are signed with a key that is derived from `SECRETS_KEY`, and trusted by
//! imports of every deployment that has that secret, now or as the previous one.

use crate::environment::Environment;
use js_sys::Uint8Array;
use scim_edge_account::manifest::{Claimed, Manifest};
use scim_edge_policy::encoding::encode;
use scim_edge_webcrypto::WebCrypto;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::{Error, Result};

#[wasm_bindgen(raw_module = "./sign.js")]
extern "C" {
    #[wasm_bindgen(js_name = publicKey)]
    fn public_key(secret: Uint8Array, purpose: &str) -> js_sys::Promise;

    #[wasm_bindgen(js_name = sign)]
    fn sign_text(secret: Uint8Array, purpose: &str, text: &str) -> js_sys::Promise;
}

/// What the key is for: another purpose would have another key.
const PURPOSE: &str = "scim-edge export 1";

/// A signed manifest, as a JWS.
pub(crate) async fn sign(environment: &Environment, manifest: &Manifest) -> Result<String> {
    let key = environment.seal_keys()?.current;
    let input = manifest.signing_input(&public(&key).await?);
    let signature = JsFuture::from(sign_text(Uint8Array::from(&key[..]), PURPOSE, &input)).await?;
    let signature: Uint8Array = signature.dyn_into()?;
    Ok(format!("{input}.{}", encode(&signature.to_vec())))
}

async fn public(key: &[u8; 32]) -> Result<String> {
    let x = JsFuture::from(public_key(Uint8Array::from(&key[..]), PURPOSE)).await?;
    x.as_string().ok_or_else(|| Error::RustError("a key has no public part".to_owned()))
}

/// Whether a manifest is signed by the key that it names, and that key is this deployment's own or `trusted`.
pub(crate) async fn check(
    environment: &Environment,
    claimed: &Claimed,
    trusted: Option<&str>,
) -> Result<std::result::Result<(), &'static str>> {
    let keys = environment.seal_keys()?;
    let mut is_trusted = trusted == Some(claimed.x.as_str());
    for key in [Some(keys.current), keys.previous].into_iter().flatten() {
        is_trusted = is_trusted || public(&key).await? == claimed.x;
    }
    if !is_trusted {
        return Ok(Err(
            "the export is signed by a key of another deployment: name it as trustKey if it is the right one",
        ));
    }
    let webcrypto = WebCrypto::default();
    let (input, signature) = (claimed.input.as_bytes(), &claimed.signature);
    let holds = webcrypto.check(&claimed.key_id, &claimed.jwk, "EdDSA", input, signature).await;
    Ok(if holds == Some(true) { Ok(()) } else { Err("the signature of the export's manifest does not hold") })
}
