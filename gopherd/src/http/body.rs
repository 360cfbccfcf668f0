//! Reading a request's body: never more of it than the limit, never longer than the deadline.

use super::error::{Door, Refusal};
use crate::feature::body::MAX_BODY;
use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};
use actix_web::web::{BytesMut, Payload};
use futures_util::StreamExt;
use std::time::Duration;

/// Reads the body. One that says that it is too large is refused before a byte of it is read; one that does
/// not say is cut off where it gets too large. In both cases the connection is closed.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: Payload,
    door: Door,
    within: Duration,
) -> Result<BytesMut, Refusal> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(too_large(door));
    }
    // Grows with what really arrives: an announcement costs the client nothing and shall cost us no memory.
    let mut body = BytesMut::new();
    let all = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| {
                Refusal::new(door, StatusCode::BAD_REQUEST, format!("the body could not be read: {error}"))
                    .closing()
            })?;
            if body.len() + chunk.len() > MAX_BODY {
                return Err(too_large(door));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    match tokio::time::timeout(within, all).await {
        Ok(read) => read.map(|()| body),
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", within.as_secs());
            Err(Refusal::new(door, StatusCode::REQUEST_TIMEOUT, detail).closing())
        }
    }
}

fn too_large(door: Door) -> Refusal {
    let detail = format!("put data size exceeds {MAX_BODY}");
    Refusal::new(door, StatusCode::PAYLOAD_TOO_LARGE, detail).closing()
}

/// The media type of a request's body, lower case, without parameters.
pub(super) fn media_type(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}
