//! Which status a refusal has at which door, and what it looks like there. The only place that knows.

use crate::feature::{Path, Problem, ProblemKind};
use crate::manager::Fault;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;
use std::fmt;

/// Seconds after which a client may try again when changes queue up.
const RETRY_AFTER_S: &str = "1";

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

/// A request that is refused, with everything that either door says about it.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
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
        Self {
            door,
            status,
            detail: detail.into(),
            path: Path::default(),
            requirements: Vec::new(),
            faults: Vec::new(),
            header: None,
            close: false,
        }
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
        let refusal = Self {
            path: problem.path.clone(),
            requirements: requirements(problem),
            ..Self::new(door, status, problem.message.clone())
        };
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

    /// Of a transaction: one entry a fault, the status of the first.
    pub(super) fn transaction(faults: &[Fault]) -> Self {
        let mut refusal = Self::single(Door::Native, faults);
        refusal.path = Path::default();
        refusal.requirements.clear();
        refusal.detail = match faults.len() {
            1 => "nothing was changed: one feature was refused".to_owned(),
            n => format!("nothing was changed: {n} features were refused"),
        };
        refusal.faults = faults
            .iter()
            .map(|fault| gopher_api::Fault {
                feature: fault.feature.to_owned(),
                path: Path::default().key("probes").key(fault.feature).pointer() + &fault.problem.path.pointer(),
                detail: fault.problem.message.clone(),
                requirements: requirements(&fault.problem),
            })
            .collect();
        refusal
    }

    pub(super) fn with(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    pub(super) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    fn compatible_body(&self) -> String {
        // By hand, because the order of the keys is part of the reference's shape.
        let mut body = format!(r#"{{"result":"failed","message":{}"#, json!(self.detail));
        if !self.path.0.is_empty() {
            body += &format!(r#","path":{}"#, json!(self.path.to_string()));
        }
        body + "}\n"
    }

    fn native_body(&self) -> String {
        let problem = gopher_api::Problem {
            kind: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or("Error").into(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            path: (!self.path.0.is_empty()).then(|| self.path.pointer()),
            requirements: self.requirements.clone(),
            errors: self.faults.clone(),
        };
        super::answer::line(&problem)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.detail)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some((name, value)) = &self.header {
            response.insert_header((name.clone(), *value));
        }
        if self.close {
            response.force_close();
        }
        match self.door {
            Door::Compatible => response.content_type("application/json").body(self.compatible_body()),
            Door::Native => response.content_type("application/problem+json").body(self.native_body()),
        }
    }
}
