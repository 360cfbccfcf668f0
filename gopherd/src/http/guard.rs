//! The first look at each request: may its sender make it? Extracts what `access` decides by, and answers what it
//! denies.
//!
//! | what | status |
//! |---|---|
//! | more requests than a peer may send | 429 |
//! | an `Origin`, or a `Host` that is not this host | 403 |
//! | no credential where one is needed, or one that is not known | 401 |
//! | a credential that does not allow it | 403 |
//!
//! `/healthz` and `/readyz` are never authenticated, the metrics listener has TLS only, and the unix socket is
//! asked for nothing but its user.

use super::connection::Line;
use super::error::{Door, RETRY_AFTER_S, Refusal};
use super::parts::Parts;
use crate::access::audit::Actor;
use crate::access::decide::{Denied, Shown, decide};
use crate::access::hosts::Hosts;
use crate::access::{Listener, Principal, Reason};
use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, web};
use futures_util::StreamExt;
use std::rc::Rc;
use std::time::Duration;

/// Of a refused request's body so much is read, within this time: then a client with a small body can go on with the
/// same connection, and one with a large one cannot make us read it.
const REFUSED_BODY: usize = 64 << 10;
const REFUSED_BODY_TIME: Duration = Duration::from_millis(50);

/// The guard's middleware.
pub(super) async fn guard<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let (Some(line), Some(parts)) =
        (request.conn_data::<Rc<Line>>().cloned(), request.app_data::<web::Data<Parts>>().cloned())
    else {
        // Every server notes both; without them nothing is known, and nothing is allowed.
        return Err(Refusal::new(Door::Native, StatusCode::FORBIDDEN, "the connection is unknown").into());
    };
    line.request();
    let answer = match admit(&request, &line, &parts) {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            let answer = next.call(request).await;
            let status = match &answer {
                Ok(answer) => answer.status(),
                Err(error) => error.as_response_error().status_code(),
            };
            if let Some(reason) = reason(status) {
                parts.access.counts.refused(line.listener, reason);
            }
            answer
        }
        Err((reason, refusal)) => {
            parts.access.counts.refused(line.listener, reason);
            discard(request.take_payload()).await;
            Err(refusal.into())
        }
    };
    line.answered();
    answer
}

/// Who makes a change, for the line in the log.
pub(super) fn actor(request: &HttpRequest, door: Door) -> Actor {
    let principal = request.extensions().get::<Principal>().cloned().unwrap_or(Principal::Nobody);
    let from = request.conn_data::<Rc<Line>>().and_then(|line| line.from);
    let door = match door {
        Door::Compatible => "compatible",
        Door::Native => "native",
    };
    Actor::Client { principal, from, door }
}

fn admit(request: &ServiceRequest, line: &Line, parts: &Parts) -> Result<Principal, (Reason, Refusal)> {
    let door = door(request.path(), line.listener);
    let refuse = |reason, status, detail: &str| (reason, Refusal::new(door, status, detail));
    if let Some(from) = line.from
        && !parts.access.may_ask(line.listener, from)
    {
        let (reason, refusal) =
            refuse(Reason::Rate, StatusCode::TOO_MANY_REQUESTS, "too many requests in a second");
        return Err((reason, refusal.with(header::RETRY_AFTER, RETRY_AFTER_S)));
    }
    let policy = parts.access.policy();
    let headers = request.headers();
    if line.listener != Listener::Unix {
        if headers.contains_key(header::ORIGIN) {
            let detail = "requests of web pages are refused: they have an Origin";
            return Err(refuse(Reason::Origin, StatusCode::FORBIDDEN, detail));
        }
        if !names_this_host(request, &policy.hosts) {
            let detail = "the Host is not this host; ask by an address, localhost or the host's name, or add the \
                          name to rest_api_server.allowed_hosts";
            return Err(refuse(Reason::Host, StatusCode::FORBIDDEN, detail));
        }
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let health = matches!(request.path(), "/healthz" | "/readyz");
    let authorization: Vec<&[u8]> =
        headers.get_all(header::AUTHORIZATION).map(|value| value.as_bytes()).collect();
    let shown = match line.uid {
        Some((uid, allowed)) => Shown::Uid(uid, allowed),
        None if line.listener == Listener::Metrics || (health && reads) => return Ok(Principal::Nobody),
        None => Shown::Remote { certificate: line.holder.as_ref(), authorization: &authorization },
    };
    decide(&policy, &shown, !reads).map_err(|denied| match denied {
        Denied::NoToken => {
            let detail = "a token is needed, as in `Authorization: Bearer TOKEN`";
            let (reason, refusal) = refuse(Reason::Auth, StatusCode::UNAUTHORIZED, detail);
            (reason, refusal.with(header::WWW_AUTHENTICATE, r#"Bearer realm="gopherd""#))
        }
        Denied::BadToken => {
            let (reason, refusal) = refuse(Reason::Auth, StatusCode::UNAUTHORIZED, "the token is not known");
            let challenge = r#"Bearer realm="gopherd", error="invalid_token""#;
            (reason, refusal.with(header::WWW_AUTHENTICATE, challenge))
        }
        Denied::Peer => {
            tracing::warn!(
                uid = line.uid.map(|(uid, _)| uid),
                path = request.path(),
                "refused on the unix socket"
            );
            let detail = "the unix socket is for root and the socket's group";
            refuse(Reason::Role, StatusCode::FORBIDDEN, detail)
        }
        Denied::NoRole => {
            let detail = "the certificate has no role; rest_api_server.client_roles gives one";
            refuse(Reason::Role, StatusCode::FORBIDDEN, detail)
        }
        Denied::ReadOnly => {
            refuse(Reason::Role, StatusCode::FORBIDDEN, "this credential may read and change nothing")
        }
    })
}

/// Whether the request is meant for this host. A browser always says for whom a request is; what says nothing is
/// none.
fn names_this_host(request: &ServiceRequest, hosts: &Hosts) -> bool {
    let mut named = request.headers().get_all(header::HOST);
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let header = named.next().map(|value| value.as_bytes());
    named.next().is_none() && header.into_iter().chain(authority).all(|name| hosts.has(name))
}

/// In whose shape a refusal is written.
fn door(path: &str, listener: Listener) -> Door {
    let native = path == "/api" || path.starts_with("/api/") || path.starts_with("/metrics");
    let health = matches!(path, "/healthz" | "/readyz");
    if native || health || listener == Listener::Metrics { Door::Native } else { Door::Compatible }
}

/// What a handler's own refusal is counted as.
fn reason(status: StatusCode) -> Option<Reason> {
    match status {
        StatusCode::REQUEST_TIMEOUT => Some(Reason::Timeout),
        StatusCode::PAYLOAD_TOO_LARGE => Some(Reason::Body),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Some(Reason::MediaType),
        _ => None,
    }
}

/// Reads what a refused request brings along, if it is small and there.
async fn discard(mut body: Payload) {
    let mut left = REFUSED_BODY;
    let all = async {
        while let Some(Ok(chunk)) = body.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    // Whatever is not there by then is not waited for.
    let _ = tokio::time::timeout(REFUSED_BODY_TIME, all).await;
}
