//! Types that C and Rust share, the object of the process tracker, and that of the kit's own tests.

fn main() -> anyhow::Result<()> {
    gopher_bpf::build_abi()?;
    gopher_bpf::build(&["src", "tests"])
}
