//! The Account object: the authority for one account's document.

use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

/// One per account, named by it.
#[durable_object(alarm)]
pub struct Account {
    _state: State,
    _env: Env,
}

impl DurableObject for Account {
    fn new(state: State, env: Env) -> Self {
        Self { _state: state, _env: env }
    }

    async fn fetch(&self, _request: Request) -> Result<Response> {
        Response::empty()
    }

    async fn alarm(&self) -> Result<Response> {
        Response::empty()
    }
}
