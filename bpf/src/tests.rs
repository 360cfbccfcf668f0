//! Every object of the workspace compiles for every architecture; what is no layout for two languages does not.

use super::*;

/// The workspace's folder.
fn workspace() -> PathBuf {
    home().join("..").canonicalize().expect("the workspace")
}

/// Every source of the workspace.
fn sources() -> Vec<PathBuf> {
    ["bpf", "probes"].iter().flat_map(|part| find(&workspace().join(part)).expect("a listing")).collect()
}

#[test]
fn every_object_compiles_for_every_architecture() {
    let scratch = tempfile::tempdir().expect("a folder");
    let sources = sources();
    assert!(!sources.is_empty(), "no *.bpf.c was found");
    for source in sources {
        for arch in Arch::ALL {
            let object = scratch.path().join("object.o");
            if let Err(error) = compile(&source, arch, scratch.path(), &object) {
                panic!("{} for {arch:?}: {error:#}", source.display());
            }
        }
    }
}

#[test]
fn the_same_source_gives_the_same_object() {
    let scratch = tempfile::tempdir().expect("a folder");
    let object = scratch.path().join("object.o");
    for source in sources() {
        let [one, other] = [(); 2].map(|()| {
            compile(&source, Arch::X86_64, scratch.path(), &object).expect("compiled");
            fs::read(&object).expect("the object")
        });
        assert!(one == other, "{}: two builds differ", source.display());
    }
}

#[test]
fn a_header_becomes_types_that_are_decoded_and_encoded_without_unsafe() {
    let types = types::of_header(&home().join("include/gopher/abi.h")).expect("types");
    for expected in
        ["pub struct gopher_tuple", "zerocopy :: FromBytes", "GOPHER_SCOPE_ONLY", "[u8 ; 16usize]"]
    {
        assert!(types.contains(expected), "{expected} is not in {types}");
    }
    assert!(!types.contains("unsafe"), "{types}");
}

#[test]
fn the_shared_types_come_from_the_kit_and_are_not_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let header = folder.path().join("x.h");
    fs::write(&header, "#include <gopher/abi.h>\nstruct x { struct gopher_tuple tuple; uint64_t n; };\n")
        .expect("written");
    let types = types::of_header(&header).expect("types");
    assert!(
        types.contains("use probe_kit :: bpf :: abi :: *") || types.contains("use probe_kit::bpf::abi::*"),
        "{types}"
    );
    assert!(types.contains("pub struct x") && !types.contains("pub struct gopher_tuple"), "{types}");
}

#[test]
fn a_name_that_is_no_rust_module_is_refused() {
    assert_eq!(stem(Path::new("a/b/tcp_x1.bpf.c")).expect("a name"), "tcp_x1");
    for bad in ["a/Tcp.bpf.c", "a/1.bpf.c", "a/a-b.bpf.c", "a/.bpf.c"] {
        assert!(stem(Path::new(bad)).is_err(), "{bad}");
    }
}

#[test]
fn the_fingerprint_changes_with_a_header_and_not_with_rust() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = folder.path().to_str().expect("UTF-8");
    let of = || sources::fingerprint(&[name], Arch::X86_64).expect("a fingerprint");
    let empty = of();
    fs::write(folder.path().join("mod.rs"), "//! x").expect("written");
    assert_eq!(of(), empty);
    fs::write(folder.path().join("x.h"), "struct x;").expect("written");
    assert_ne!(of(), empty);
}
