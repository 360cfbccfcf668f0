//! The log's level, as the native API shows and sets it.

use crate::config::LogLevel;
use crate::http;
use crate::logging::LogControl;

impl http::LogLevel for LogControl {
    fn get(&self) -> gopher_api::LogLevel {
        match self.level() {
            LogLevel::Debug => gopher_api::LogLevel::Debug,
            LogLevel::Info => gopher_api::LogLevel::Info,
            LogLevel::Warn => gopher_api::LogLevel::Warn,
            LogLevel::Error => gopher_api::LogLevel::Error,
        }
    }

    fn set(&self, level: gopher_api::LogLevel) {
        self.set_level(match level {
            gopher_api::LogLevel::Debug => LogLevel::Debug,
            gopher_api::LogLevel::Info => LogLevel::Info,
            gopher_api::LogLevel::Warn => LogLevel::Warn,
            gopher_api::LogLevel::Error => LogLevel::Error,
        });
    }
}
