//! The doors as a client sees them: tables of requests with their exact answers, and properties.

mod cases;
mod hostile;
mod native;
mod properties;
mod rules;
mod support;
