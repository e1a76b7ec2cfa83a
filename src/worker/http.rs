//! HTTP at the edge of the host: bodies read within a limit, answers made of a status, headers and a text.

use futures_util::StreamExt;
use scim_edge_scim::error::Error as ScimError;
use worker::{ByteStream, Headers, Response, ResponseBuilder, Result};

/// The media type of SCIM messages (RFC 7644 §3.1).
pub(crate) const SCIM_JSON: &str = "application/scim+json";

/// The longest request body, in bytes.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It is longer than the limit.
    TooLong,
    /// It ended early.
    Broken,
}

/// Reads a body of at most `limit` bytes and stops there: what it announces is not believed.
pub(crate) async fn read(
    body: Option<web_sys::ReadableStream>,
    limit: usize,
) -> std::result::Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    let Some(body) = body else { return Ok(bytes) };
    let mut chunks = ByteStream::from(body);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| BodyError::Broken)?;
        if bytes.len().saturating_add(chunk.len()) > limit {
            return Err(BodyError::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// An answer with a text body, or without one. Where nothing is said of caches, they are to keep nothing:
/// whatever is answered here is somebody's.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: Option<String>) -> Result<Response> {
    let map = Headers::new();
    map.set("x-content-type-options", "nosniff")?;
    if !headers.iter().any(|(name, _)| *name == "cache-control") {
        map.set("cache-control", "no-store")?;
    }
    for (name, value) in headers {
        map.append(name, value)?;
    }
    let builder = ResponseBuilder::new().with_status(status).with_headers(map);
    match body {
        // Not ResponseBuilder::ok: it would set a content type of its own.
        Some(text) => Ok(builder.fixed(text.into_bytes())),
        None => Ok(builder.empty()),
    }
}

/// A SCIM error as an answer.
pub(crate) fn scim_error(error: &ScimError, headers: &[(&str, &str)]) -> Result<Response> {
    let mut all = vec![("content-type", SCIM_JSON)];
    all.extend_from_slice(headers);
    answer(error.status, &all, Some(error.body().to_string()))
}
