//! Which status a refusal has at which door, and what it looks like there. The only place that knows.

use crate::feature::{Path, Problem, ProblemKind};
use crate::manager::Fault;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use gopher_api::CompatAnswer;
use std::fmt;

/// Seconds after which a client may try again when changes or scrapes queue up.
pub(super) const RETRY_AFTER_S: &str = "1";

/// Said of a change whose deadline came before its probes answered.
pub(super) const UNFINISHED: &str =
    "the probe has not finished starting or stopping; it goes on in the background, and status shows it";

/// Said of a path that is nothing.
pub(super) const NOT_FOUND: &str = "url not found";

/// One of the two doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// `/<feature>`.
    Compatible,
    /// `/api/v1`.
    Native,
}

/// The status of a refusal.
pub(super) fn status(kind: &ProblemKind, door: Door) -> StatusCode {
    match (kind, door) {
        (ProblemKind::Invalid, Door::Compatible | Door::Native)
        | (ProblemKind::NotBuilt | ProblemKind::Unsupported(_) | ProblemKind::Failed, Door::Compatible) => {
            StatusCode::BAD_REQUEST
        }
        (ProblemKind::NotBuilt | ProblemKind::Unsupported(_) | ProblemKind::Failed, Door::Native) => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        (ProblemKind::TooLarge, Door::Compatible | Door::Native) => StatusCode::PAYLOAD_TOO_LARGE,
        (ProblemKind::Stale(_), Door::Compatible | Door::Native) => StatusCode::PRECONDITION_FAILED,
        (ProblemKind::Unavailable, Door::Compatible | Door::Native) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn requirements(problem: &Problem) -> Vec<String> {
    match &problem.kind {
        ProblemKind::Unsupported(missing) => missing.clone(),
        ProblemKind::NotBuilt => vec![problem.message.clone()],
        ProblemKind::Invalid
        | ProblemKind::TooLarge
        | ProblemKind::Failed
        | ProblemKind::Stale(_)
        | ProblemKind::Unavailable => Vec::new(),
    }
}

/// A request that is refused. Boxed, because it is the error of functions that mostly succeed.
#[derive(Clone, Debug)]
pub(super) struct Refusal(Box<Content>);

/// Everything that either door says about a refusal.
#[derive(Clone, Debug)]
struct Content {
    door: Door,
    status: StatusCode,
    detail: String,
    path: Path,
    requirements: Vec<String>,
    faults: Vec<gopher_api::Fault>,
    /// A header that belongs to this status: `Allow`, `Retry-After`, `Accept-Patch`.
    header: Option<(header::HeaderName, &'static str)>,
    /// The body was not read to its end, so the connection cannot be used again.
    close: bool,
}

impl Refusal {
    pub(super) fn new(door: Door, status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Content {
            door,
            status,
            detail: detail.into(),
            path: Path::default(),
            requirements: Vec::new(),
            faults: Vec::new(),
            header: None,
            close: false,
        }))
    }

    pub(super) fn not_found(door: Door) -> Self {
        Self::new(door, StatusCode::NOT_FOUND, NOT_FOUND)
    }

    pub(super) fn method_not_allowed(door: Door, allow: &'static str) -> Self {
        let detail = format!("method not allowed; this path has {allow}");
        Self::new(door, StatusCode::METHOD_NOT_ALLOWED, detail).with(header::ALLOW, allow)
    }

    /// Of a change that one feature's problem stopped.
    pub(super) fn problem(door: Door, problem: &Problem) -> Self {
        let status = status(&problem.kind, door);
        let mut refusal = Self::new(door, status, problem.message.clone());
        refusal.0.path = problem.path.clone();
        refusal.0.requirements = requirements(problem);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return refusal.with(header::RETRY_AFTER, RETRY_AFTER_S);
        }
        refusal
    }

    /// Of a change of one feature.
    pub(super) fn single(door: Door, faults: &[Fault]) -> Self {
        match faults.first() {
            Some(fault) => Self::problem(door, &fault.problem),
            None => Self::new(door, StatusCode::INTERNAL_SERVER_ERROR, "refused without a reason"),
        }
    }

    /// Of a transaction: one entry a fault, with the feature as it was named; the status of the first.
    pub(super) fn transaction(faults: &[(String, Problem)]) -> Self {
        let mut refusal = match faults.first() {
            Some((_, problem)) => Self::problem(Door::Native, problem),
            None => Self::single(Door::Native, &[]),
        };
        refusal.0.path = Path::default();
        refusal.0.requirements = faults.iter().flat_map(|(_, problem)| requirements(problem)).collect();
        refusal.0.detail = match faults.len() {
            1 => "nothing was changed: one feature was refused".to_owned(),
            n => format!("nothing was changed: {n} features were refused"),
        };
        refusal.0.faults = faults
            .iter()
            .map(|(feature, problem)| gopher_api::Fault {
                feature: feature.clone(),
                path: problem.path.pointer(),
                detail: problem.message.clone(),
            })
            .collect();
        refusal
    }

    pub(super) fn with(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.0.header = Some((name, value));
        self
    }

    pub(super) fn closing(mut self) -> Self {
        self.0.close = true;
        self
    }

    fn compatible_body(&self) -> String {
        super::answer::line(&CompatAnswer::failed(&*self.0.detail, &self.0.path.to_string()))
    }

    fn native_body(&self) -> String {
        let problem = gopher_api::Problem {
            kind: "about:blank".into(),
            title: self.0.status.canonical_reason().unwrap_or("Error").into(),
            status: self.0.status.as_u16(),
            detail: self.0.detail.clone(),
            path: (!self.0.path.0.is_empty()).then(|| self.0.path.pointer()),
            requirements: self.0.requirements.clone(),
            faults: self.0.faults.clone(),
        };
        super::answer::line(&problem)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status, self.0.detail)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.status);
        if let Some((name, value)) = &self.0.header {
            response.insert_header((name.clone(), *value));
        }
        if self.0.close {
            response.force_close();
        }
        match self.0.door {
            Door::Compatible => response.content_type("application/json").body(self.compatible_body()),
            Door::Native => response.content_type(gopher_api::Problem::CONTENT_TYPE).body(self.native_body()),
        }
    }
}
