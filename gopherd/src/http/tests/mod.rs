//! The real routes over a real manager: each status, header and body.

mod compat;
mod guard;
mod health;
mod hostile;
mod metrics;
mod model;
mod native;
mod openapi;
mod sockets;
mod urls;

use super::Parts;
use super::routes::{contain, metrics as metrics_routes, rest};
use actix_web::body::to_bytes;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, web};
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text"))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    /// Status, content type and body, as tables have them.
    fn shown(&self) -> String {
        format!("{} {} {}", self.status, self.header("content-type"), self.body)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    Rest,
    Metrics,
}

async fn ask(parts: &Parts, listener: Listener, request: TestRequest) -> Reply {
    let data = web::Data::new(parts.clone());
    let app = App::new().wrap(from_fn(contain));
    let request = request.to_request();
    let result = match listener {
        Listener::Rest => {
            let app = init_service(app.configure(rest(data))).await;
            try_call_service(&app, request).await
        }
        Listener::Metrics => {
            let app = init_service(app.configure(metrics_routes(data))).await;
            try_call_service(&app, request).await
        }
    };
    // What the server does with an error of the outermost middleware.
    let response = match result {
        Ok(response) => response.into_parts().1.map_into_boxed_body(),
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    Reply { status: StatusCode::as_u16(&status), headers, body }
}

/// A request with a body to the REST listener.
async fn send(parts: &Parts, method: &str, uri: &str, content_type: &str, body: &str) -> Reply {
    let method = actix_web::http::Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = TestRequest::default().method(method).uri(uri);
    if !content_type.is_empty() {
        request = request.insert_header(("content-type", content_type));
    }
    ask(parts, Listener::Rest, request.set_payload(body.to_owned())).await
}

async fn get(parts: &Parts, uri: &str) -> Reply {
    ask(parts, Listener::Rest, TestRequest::get().uri(uri)).await
}
