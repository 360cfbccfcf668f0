//! The API against its own document: what independent programs make of `/api/v1/openapi.json`.
//!
//! `packaging/bootstrap.sh test` installs them under target/tools/python.

use gopher_e2e::process::command;
use gopher_e2e::{Setup, eventually};
use std::path::PathBuf;
use std::process::Output;

/// A folder with the programs.
fn tools() -> PathBuf {
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools/python/bin");
    assert!(tools.is_dir(), "{} is not there: run `packaging/bootstrap.sh test` first", tools.display());
    tools
}

/// Runs one of them in `folder`.
fn run(name: &str, args: &[&str], folder: &std::path::Path) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut program = command(tools().join(name));
    // The generator calls a formatter from beside it.
    program.args(args).current_dir(folder).env("PATH", format!("{}:{path}", tools().display()));
    program.output().unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_answer_is_as_the_document_says() {
    let setup = Setup::new();
    let daemon = setup.start();
    let base = format!("http://127.0.0.1:{}", setup.rest_port);
    let config = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemathesis.toml");
    let document = format!("{base}/api/v1/openapi.json");
    let config = config.to_str().expect("a path of text");
    // Always the same requests. Every check is on but for what the configuration says; to name them here would win over it.
    let args = [
        "--config-file",
        config,
        "--no-color",
        "run",
        &document,
        "--url",
        &base,
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "20",
        "--seed",
        "1",
        "--continue-on-failure",
        "--generation-database",
        "none",
        "--request-timeout",
        "5",
    ];
    let output = run("schemathesis", &args, &setup.path("."));
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    let tested = said.lines().find_map(|line| line.trim().strip_prefix("Tested:"));
    let tested: usize = tested.and_then(|count| count.trim().parse().ok()).unwrap_or(0);
    assert!(tested >= 20, "{tested} operations were tested: {said}");
    // None of it has done harm.
    eventually("the daemon to be ready", || (daemon.rest().get("/readyz").status == 200).then_some(()));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn a_client_that_is_generated_from_the_document_compiles_and_works() {
    let setup = Setup::new();
    let daemon = setup.start();
    let document = daemon.rest().get("/api/v1/openapi.json").expect(200);
    let (folder, file) = (setup.path("client"), setup.path("openapi.json"));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(&file, document.text()).expect("written");
    let path = file.to_str().expect("a path of text");
    let made = folder.join("gopherd_client");
    let args = [
        "generate",
        "--path",
        path,
        "--meta",
        "none",
        "--output-path",
        made.to_str().expect("text"),
        "--fail-on-warning",
    ];
    let output = run("openapi-python-client", &args, &folder);
    assert!(output.status.success(), "{}", said(&output));
    let script = folder.join("use.py");
    std::fs::write(&script, USE).expect("written");
    let port = setup.rest_port.to_string();
    let output = run("python", &["-W", "error", "use.py", &port], &folder);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "baseinfo stopped 1\n");
}

/// Compiles and loads every module, then asks for the list, changes a feature and reads it back.
const USE: &str = r#"
import importlib, pkgutil, sys
import gopherd_client
from gopherd_client import Client
from gopherd_client.api.probes import get_probe, list_probes, put_probe
from gopherd_client.models import ProbeConfig, ProbeDocument, ProbeList

for module in pkgutil.walk_packages(gopherd_client.__path__, "gopherd_client."):
    importlib.import_module(module.name)

client = Client(base_url=f"http://127.0.0.1:{sys.argv[1]}", raise_on_unexpected_status=True)
listed = list_probes.sync(client=client)
assert isinstance(listed, ProbeList), listed
assert any(item.feature == "tcp" for item in listed.items), listed
config = ProbeConfig.from_dict({"cmd": {"probe": ["cpu"]}, "state": "stopped"})
put = put_probe.sync(client=client, feature="baseinfo", body=config)
assert isinstance(put, ProbeDocument), put
read = get_probe.sync(client=client, feature="baseinfo")
assert isinstance(read, ProbeDocument), read
print(read.feature, read.status.state, read.generation)
"#;
