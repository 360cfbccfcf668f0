//! A probe's shared header to Rust types that can be decoded from bytes without `unsafe`.
//!
//! The derives are the check: `IntoBytes` does not compile for a type with padding, `FromBytes` not for one with
//! a `bool`, an enum or a pointer. bindgen adds assertions of size and offset.

use crate::home;
use anyhow::{Context as _, Result, anyhow};
use bindgen::callbacks::{DeriveInfo, DeriveTrait, ImplementsTrait, ParseCallbacks};
use std::path::Path;

/// What each struct derives, besides bindgen's Clone, Copy, Debug and Default.
#[derive(Debug)]
struct Zerocopy;

impl ParseCallbacks for Zerocopy {
    fn blocklisted_type_implements_trait(&self, _: &str, _: DeriveTrait) -> Option<ImplementsTrait> {
        // Those of the kit, which derive the same; without this a struct that has one of them derives nothing.
        Some(ImplementsTrait::Yes)
    }

    fn add_derives(&self, _: &DeriveInfo<'_>) -> Vec<String> {
        ["FromBytes", "Immutable", "IntoBytes", "KnownLayout"].map(|name| format!("zerocopy::{name}")).into()
    }
}

/// The Rust of `header`'s own types. Those of `gopher/*.h` are the same for every probe and come from
/// `probe_kit::bpf::abi`, unless the header is one of them.
pub(crate) fn of_header(header: &Path) -> Result<String> {
    let shared = home().join("include/gopher");
    let name = header.to_str().with_context(|| format!("{}: not UTF-8", header.display()))?;
    let mut builder = bindgen::Builder::default()
        .header(name)
        .clang_args([format!("-I{}", home().join("include").display())])
        .allowlist_file(regex_of(name))
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        .derive_eq(true)
        .derive_hash(true)
        .fit_macro_constants(false)
        .default_macro_constant_type(bindgen::MacroTypeVariation::Unsigned)
        .generate_comments(true)
        .disable_header_comment()
        .formatter(bindgen::Formatter::None)
        .parse_callbacks(Box::new(Zerocopy));
    if !header.starts_with(&shared) {
        let shared = shared.to_str().context("the path of bpf/include is not UTF-8")?;
        builder = builder
            .blocklist_file(format!("{}/.*", regex_of(shared)))
            .raw_line("#[allow(unused_imports)] use probe_kit::bpf::abi::*;");
    }
    let bindings = builder.generate().map_err(|error| anyhow!("{}: {error}", header.display()))?;
    Ok(bindings.to_string())
}

/// `path` as a regular expression that matches it alone.
fn regex_of(path: &str) -> String {
    path.chars().flat_map(|c| (!c.is_alphanumeric()).then_some('\\').into_iter().chain([c])).collect()
}
