//! The shipped configuration inside the binary, for `demo`, `chaos run` and a first look without any file.

use std::path::Path;

/// `config/` of the source tree.
#[derive(rust_embed::RustEmbed)]
#[folder = "config/"]
pub struct Embedded;

/// Writes the shipped classifier, runbooks and policies into a folder.
pub fn unpack(folder: &Path) -> std::io::Result<()> {
    let wanted = |name: &str| name == "classifier.yaml" || name.starts_with("runbooks/") || name.starts_with("policies/");
    for name in Embedded::iter().filter(|name| wanted(name)) {
        let path = folder.join(name.as_ref());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        if let Some(file) = Embedded::get(&name) {
            std::fs::write(path, file.data)?;
        }
    }
    Ok(())
}
