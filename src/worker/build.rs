//! The most memory that the Wasm instance may take: an isolate has 128 MB for it and for all else (`docs/limits.md`). An
//! allocation past it is an abort, which `memory.js` answers with 503; past the isolate's own limit the platform ends the
//! isolate, with every account in it.

const MOST: usize = 64 << 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|target| target == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=--max-memory={MOST}");
    }
}
