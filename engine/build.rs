//! Puts the revision of the sources into the binaries, so that a harness can tell which they are.

fn main() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the engine lies in the workspace's root");
    stepmark_revision::emit(root).expect("the sources can be read");
}
