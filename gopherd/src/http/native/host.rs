//! `GET /api/v1/capabilities`: what can be said about the kernel and the host without trying it.

use crate::http::answer;
use crate::http::error::Refusal;
use crate::http::parts::Parts;
use crate::http::query::{self, Nothing};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use gopher_api::{Capabilities, ContainerRuntime, Support};
use probe_core::Env;
use std::collections::BTreeMap;
use std::fs;

/// The kernel and the host.
#[utoipa::path(get, path = "/api/v1/capabilities", operation_id = "get_capabilities", tag = "daemon", responses(
    (status = 200, description = "What is offered here.", body = Capabilities),
    (status = 400, description = "A query key, of which there are none.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(in crate::http) async fn capabilities(
    request: HttpRequest,
    parts: web::Data<Parts>,
) -> Result<HttpResponse, Refusal> {
    let Nothing {} = query::parse(&request)?;
    Ok(answer::json(StatusCode::OK, &look(&parts.env, parts.runtimes.list())))
}

fn look(env: &Env, container_runtimes: Vec<ContainerRuntime>) -> Capabilities {
    let uname = rustix::system::uname();
    let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
    let btf = env.sys.join("kernel/btf/vmlinux");
    let available = btf.exists();
    Capabilities {
        kernel_release: text(uname.release()),
        architecture: text(uname.machine()),
        btf: Support { available, reason: (!available).then(|| format!("{} does not exist", btf.display())) },
        // Nothing is tried in the kernel yet, so nothing is said about it.
        attach_kinds: BTreeMap::new(),
        tracepoints: BTreeMap::new(),
        cgroup_version: cgroup_version(env),
        lockdown: fs::read_to_string(env.sys.join("kernel/security/lockdown")).ok().and_then(|t| chosen(&t)),
        container_runtimes,
        capabilities: held(),
    }
}

/// The version by what is mounted at its usual place.
fn cgroup_version(env: &Env) -> Option<String> {
    let root = env.sys.join("fs/cgroup");
    let version = if root.join("cgroup.controllers").exists() {
        "v2"
    } else if root.join("unified/cgroup.controllers").exists() {
        "hybrid"
    } else if root.join("memory").exists() || root.join("cpu").exists() {
        "v1"
    } else {
        return None;
    };
    Some(version.to_owned())
}

/// The word in brackets, as in `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<String> {
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// What a thread of this process may raise when it needs it, as names like `CAP_BPF`.
fn held() -> Vec<String> {
    let Ok(sets) = rustix::thread::capabilities(None) else { return Vec::new() };
    let names = sets.permitted.iter_names().map(|(name, _)| format!("CAP_{name}"));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_version_is_told_by_what_is_mounted() {
        for (paths, version) in [
            (&["fs/cgroup/cgroup.controllers"][..], Some("v2")),
            (&["fs/cgroup/memory/x", "fs/cgroup/unified/cgroup.controllers"], Some("hybrid")),
            (&["fs/cgroup/memory/x"], Some("v1")),
            (&["x"], None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            for path in paths {
                let path = dir.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            let env = Env { sys: dir.path().into(), ..Env::default() };
            assert_eq!(cgroup_version(&env).as_deref(), version);
        }
    }

    #[test]
    fn the_lockdown_mode_is_the_word_in_brackets() {
        assert_eq!(chosen("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(chosen("none\n"), None);
    }
}
