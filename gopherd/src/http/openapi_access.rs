//! What the guard answers, as the OpenAPI document describes it: the same for every operation, so it is added to
//! all of them here.

use utoipa::Modify;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, ResponseBuilder};

/// Adds the refusals of the guard and the ways to show who one is.
#[derive(Debug)]
pub(super) struct Guarded;

const TOKEN: &str = "token";
const CERTIFICATE: &str = "certificate";

const UNAUTHORIZED: &str = "No credential where one is configured, or one that is not known.";
const FORBIDDEN: &str = "The credential does not allow it, the request is a web page's (it has an `Origin`), or the \
                         `Host` is not this host.";
const TOO_MANY: &str =
    "More requests in a second than one peer may send; `Retry-After` says when to try again.";

impl Modify for Guarded {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of rest_api_server.tokens_file, where that is set."));
        components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer.build()));
        let certificate = SecurityScheme::MutualTls {
            description: Some("A client certificate, where rest_api_server.ca_file is set.".to_owned()),
            deprecated: None,
            extensions: None,
        };
        components.add_security_scheme(CERTIFICATE, certificate);
        for (path, item) in &mut document.paths.paths {
            let health = matches!(path.as_str(), "/healthz" | "/readyz");
            operations(item).for_each(|operation| describe(operation, health));
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
    all.into_iter().flatten()
}

fn describe(operation: &mut Operation, health: bool) {
    let compatible = operation.tags.as_deref().is_some_and(|tags| tags.iter().any(|tag| tag == "compatible"));
    let (schema, media_type) = if compatible {
        ("CompatAnswer", "application/json")
    } else {
        ("Problem", gopher_api::Problem::CONTENT_TYPE)
    };
    let response = |description: &str| {
        let content = Content::new(Some(Ref::from_schema_name(schema)));
        ResponseBuilder::new().description(description).content(media_type, content).build()
    };
    let responses = &mut operation.responses.responses;
    responses.insert("403".to_owned(), response(FORBIDDEN).into());
    responses.insert("429".to_owned(), response(TOO_MANY).into());
    if !health {
        responses.insert("401".to_owned(), response(UNAUTHORIZED).into());
        let none = SecurityRequirement::default();
        let ways = [TOKEN, CERTIFICATE].map(|way| SecurityRequirement::new(way, Vec::<String>::new()));
        // Either of them, or nothing where none is configured.
        operation.security = Some(ways.into_iter().chain([none]).collect());
    }
}
