//! `/healthz`: the process answers. `/readyz`: it does what it was told to, and what it does not.

use super::answer;
use super::error::Refusal;
use super::parts::Parts;
use super::query;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use gopher_api::{Ready, ReadyProblem};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use utoipa::ToSchema;

/// The source of problems with lines of probes.init, which the list of probes shows too.
pub const PROBES_INIT: &str = "probes.init";

/// Problems that one source may show; the number of further ones is said.
const MAX_SHOWN: usize = 100;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Serving,
    Stopping,
}

#[derive(Debug, Default)]
struct Inner {
    phase: Phase,
    problems: BTreeMap<&'static str, Vec<String>>,
}

/// Where the daemon is in its life, and what does not work as configured. Everybody may hold one.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Inner>>);

impl Readiness {
    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The listeners answer and probes.init was read.
    pub fn serving(&self) {
        self.with(|inner| inner.phase = Phase::Serving);
    }

    /// The daemon was told to end.
    pub fn stopping(&self) {
        self.with(|inner| inner.phase = Phase::Stopping);
    }

    /// What is wrong with `source` now, one sentence each; empty when nothing is.
    pub fn set(&self, source: &'static str, mut problems: Vec<String>) {
        let more = problems.len().saturating_sub(MAX_SHOWN);
        if more > 0 {
            problems.truncate(MAX_SHOWN);
            problems.push(format!("{more} more; the log has them"));
        }
        self.with(|inner| {
            if problems.is_empty() {
                inner.problems.remove(source);
            } else {
                inner.problems.insert(source, problems);
            }
        });
    }

    /// What is wrong, by source.
    pub fn problems(&self) -> Vec<ReadyProblem> {
        let problem = |source: &&str, detail: &String| ReadyProblem {
            source: (*source).to_owned(),
            detail: detail.clone(),
        };
        self.with(|inner| {
            let each = inner.problems.iter();
            each.flat_map(|(source, all)| all.iter().map(move |detail| problem(source, detail))).collect()
        })
    }

    /// The document.
    pub fn document(&self) -> Ready {
        let ready = self.with(|inner| inner.phase == Phase::Serving);
        Ready { ready, problems: self.problems() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadyQuery {
    #[serde(default)]
    strict: Strict,
}

/// A switch in a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub(super) enum Strict {
    #[default]
    #[serde(rename = "0")]
    Off,
    #[serde(rename = "1")]
    On,
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses(
    (status = 200, description = "The process answers.", content_type = "text/plain", body = String),
))]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// Whether the daemon does what it was told to.
#[utoipa::path(get, path = "/readyz", tag = "health",
    params(("strict" = inline(Option<Strict>), Query, description = "1: any problem is a 503.")),
    responses(
        (status = 200, description = "Ready; `problems` may still name some.", body = Ready),
        (status = 400, description = "A query key or value that is unknown.", content_type = "application/problem+json", body = gopher_api::Problem),
        (status = 503, description = "Starting, stopping, or, when strict, any problem.", body = Ready),
))]
pub(super) async fn readyz(request: HttpRequest, parts: web::Data<Parts>) -> Result<HttpResponse, Refusal> {
    let ReadyQuery { strict } = query::parse(&request)?;
    let document = parts.readiness.document();
    let well = document.ready && (strict == Strict::Off || document.problems.is_empty());
    Ok(answer::json(if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &document))
}
