//! `GET /api/v1/capabilities`: what the kernel and the host offer, each thing asked of the kernel itself.

use crate::http::answer;
use crate::http::error::{Door, Refusal};
use crate::http::parts::Parts;
use crate::http::query::{self, Nothing};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use gopher_api::{Capabilities, ContainerRuntime, ProcessTracker, Support};
use probe_kit::kernel::{AttachKind, Helper, MapKind, Missing, Requirement, host, kernel};

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
    // The first time programs are loaded and attached to find out: some tens of milliseconds.
    let runtimes = parts.runtimes.list();
    let targets = std::sync::Arc::clone(&parts.targets);
    let found = web::block(move || look(runtimes, targets.tracker())).await.map_err(|error| {
        tracing::error!(%error, "asking the kernel failed");
        Refusal::new(Door::Native, StatusCode::INTERNAL_SERVER_ERROR, "the kernel could not be asked")
    })?;
    Ok(answer::json(StatusCode::OK, &found))
}

fn look(container_runtimes: Vec<ContainerRuntime>, process_tracker: ProcessTracker) -> Capabilities {
    let uname = rustix::system::uname();
    let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
    let kernel = kernel();
    let host = host::look(kernel);
    let kinds = AttachKind::ALL.map(Requirement::Attach);
    let features = MapKind::ALL.map(Requirement::Map).into_iter().chain(Helper::ALL.map(Requirement::Helper));
    let features: Vec<_> = features.collect();
    // Asked now, so that the document is whole; answers are kept, and probes ask for the rest.
    let attach_kinds = kinds.iter().zip(kernel.ask_all(&kinds));
    let features = features.iter().zip(kernel.ask_all(&features));
    let tracepoints = kernel.answers().into_iter().filter_map(|(asked, answer)| match asked {
        Requirement::Tracepoint(name) => Some((name.to_owned(), support(answer))),
        _ => None,
    });
    Capabilities {
        kernel_release: text(uname.release()),
        architecture: text(uname.machine()),
        btf: support(kernel.ask(Requirement::Btf)),
        attach_kinds: attach_kinds.map(|(asked, answer)| (asked.to_string(), support(answer))).collect(),
        features: features.map(|(asked, answer)| (asked.to_string(), support(answer))).collect(),
        tracepoints: tracepoints.collect(),
        cgroup_version: host.cgroup_version.map(str::to_owned),
        lockdown: host.lockdown,
        pressure: host.pressure,
        memlock_bytes: host.memlock_bytes,
        container_runtimes,
        process_tracker,
        capabilities: host.capabilities,
    }
}

fn support(answer: Result<(), Missing>) -> Support {
    Support { available: answer.is_ok(), reason: answer.err().map(|missing| missing.reason) }
}
