//! Types that C and Rust share, and the object of the kit's own tests.

fn main() -> anyhow::Result<()> {
    gopher_bpf::build_abi()?;
    gopher_bpf::build(&["tests"])
}
