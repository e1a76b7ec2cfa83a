//! The Directory object: one account's SCIM server and replica.

use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

/// One per account, named by it.
#[durable_object(alarm)]
pub struct Directory {
    _state: State,
    _env: Env,
}

impl DurableObject for Directory {
    fn new(state: State, env: Env) -> Self {
        Self { _state: state, _env: env }
    }

    async fn fetch(&self, _request: Request) -> Result<Response> {
        Response::ok("directory")
    }

    async fn alarm(&self) -> Result<Response> {
        Response::empty()
    }
}
