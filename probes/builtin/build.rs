//! The BPF objects of the probe folders: adding one is adding a folder.

fn main() -> anyhow::Result<()> {
    gopher_bpf::build(&["src"])
}
