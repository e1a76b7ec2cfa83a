//! The origin's secret is for one origin: a scheme, a host and a port.
//!
//! An editor of settings cannot read the secret, and must not be able to have it sent to another host either. So it
//! is sealed together with the origin that it was set for, and a URL that names another one is refused unless the
//! secret comes with it. `passthrough` sends callers' own tokens, and is bound in the same way.

use crate::api::Request;
use crate::batch::{Batch, Problem};
use crate::document::SettingValue;
use crate::secret;
use crate::setting::{ORIGIN_AUTHORIZATION, ORIGIN_URL, PASSTHROUGH};

/// Binds the secret of a batch to the batch's origin, or holds on to the binding that there is. Looked at when all
/// changes are in, so that their order does not matter.
pub(crate) fn bind(batch: &mut Batch<'_>, request: &Request<'_>) {
    if batch.secret.is_some() && batch.has_failed(ORIGIN_URL) {
        // It was meant for an origin that is not set.
        let problem = Problem::from("not set, since the scim_origin_url in the same request was refused");
        batch.undo(|identifier| identifier == ORIGIN_AUTHORIZATION, &problem);
    }
    let origin = batch.new.origin();
    if let Some(text) = batch.secret.take() {
        match setting(batch, request, &text, origin.as_deref()) {
            Ok(setting) => {
                batch.new.settings.insert(ORIGIN_AUTHORIZATION.to_owned(), setting);
            }
            Err(problem) => batch.undo(|identifier| identifier == ORIGIN_AUTHORIZATION, &problem),
        }
    }
    let Some(kept) = batch.new.settings.get(ORIGIN_AUTHORIZATION) else { return };
    let bound_to = kept.bound_to.clone().or_else(|| batch.before.origin());
    if origin.is_some() && origin != bound_to {
        let problem = Problem::from(
            "the stored scim_origin_authorization is for another origin: a URL with another scheme, host or port \
             needs it again in the same request",
        );
        batch.undo(|identifier| identifier == ORIGIN_URL, &problem);
    }
}

fn setting(
    batch: &Batch<'_>,
    request: &Request<'_>,
    text: &str,
    origin: Option<&str>,
) -> Result<SettingValue, Problem> {
    let value = if text == PASSTHROUGH {
        text.to_owned()
    } else {
        let nonce = request.random.first_chunk::<24>().ok_or("no randomness")?;
        let place = secret::place(ORIGIN_AUTHORIZATION, origin);
        secret::seal(request.seal_key, nonce, &batch.new.account, &place, text)
            .ok_or("the value could not be sealed")?
    };
    Ok(SettingValue { value, last_modified_at: request.now_ms, bound_to: origin.map(str::to_owned) })
}
