//! Query strings, strictly: an unknown key, a key given twice or a value of another type is a 400.

use super::error::{Door, Refusal};
use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Query;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// For paths that have no query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The request's query as a `T`; a fault is told as the native door tells it.
pub(super) fn parse<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Refusal> {
    parse_at(Door::Native, request)
}

/// The same, a fault told as `door` does.
pub(super) fn parse_at<T: DeserializeOwned>(door: Door, request: &HttpRequest) -> Result<T, Refusal> {
    Query::<T>::from_query(request.query_string()).map(Query::into_inner).map_err(|error| {
        let what = match error {
            actix_web::error::QueryPayloadError::Deserialize(error) => error.to_string(),
            other => other.to_string(),
        };
        Refusal::new(door, StatusCode::BAD_REQUEST, format!("query string: {what}"))
    })
}
