//! The Cloudflare Worker: verifies, reads, forwards.

mod account;
mod directory;
mod http;
mod lock;
mod origin;
mod sql;

use worker::{Context, Env, Request, Response, Result, event};

/// Every request enters here.
#[event(fetch)]
async fn fetch(request: Request, _env: Env, _context: Context) -> Result<Response> {
    match request.path().as_str() {
        "/healthz" => Response::ok("ok"),
        _ => Response::error("not found", 404),
    }
}
