//! The sockets, made before anything else is started, so that a port that is taken is an error of the start
//! that names the address and the way out.

use rustix::fs::{Mode, chmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use rustls::ServerConfig;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// Owner and group may connect, and so may change probes.
const SOCKET_MODE: Mode = Mode::from_raw_mode(0o660);

/// Where to listen; `None` where not to.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// The REST API.
    pub rest: Option<SocketAddr>,
    /// The REST API for the local administrator.
    pub unix: Option<PathBuf>,
    /// Metrics.
    pub metrics: Option<SocketAddr>,
}

/// A socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A TCP address.
    #[error("cannot listen on {address} ({section}): {cause}; {way_out}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// The section of the configuration that it comes from.
        section: &'static str,
        /// What the system says.
        cause: io::Error,
        /// What to do.
        way_out: String,
    },
    /// The unix socket.
    #[error("cannot listen on {path}: {cause}")]
    Unix {
        /// The path.
        path: PathBuf,
        /// What is in the way.
        cause: String,
    },
}

/// Sockets that are bound and listen.
#[derive(Debug, Default)]
pub struct Sockets {
    pub(super) rest: Option<TcpListener>,
    pub(super) unix: Option<(UnixListener, PathBuf)>,
    pub(super) metrics: Option<TcpListener>,
    pub(super) tls: TlsSettings,
}

/// The TLS of each listener; one that has none speaks plain HTTP.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// The control listener's.
    pub rest: Option<Arc<ServerConfig>>,
    /// The metrics listener's.
    pub metrics: Option<Arc<ServerConfig>>,
}

impl Sockets {
    /// Makes all of them, or none.
    pub fn bind(addresses: &Addresses) -> Result<Self, BindError> {
        Ok(Self {
            rest: addresses.rest.map(|address| tcp(address, "rest_api_server")).transpose()?,
            metrics: addresses.metrics.map(|address| tcp(address, "web_server")).transpose()?,
            unix: match &addresses.unix {
                Some(path) => Some((unix(path)?, path.clone())),
                None => None,
            },
            tls: TlsSettings::default(),
        })
    }

    /// These sockets, with TLS.
    pub fn with_tls(self, tls: TlsSettings) -> Self {
        Self { tls, ..self }
    }

    /// Where the REST listener really is, when the port was 0.
    pub fn rest_address(&self) -> Option<SocketAddr> {
        self.rest.as_ref()?.local_addr().ok()
    }

    /// Where the metrics listener really is, when the port was 0.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }
}

fn tcp(address: SocketAddr, section: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).map_err(|cause| {
        let way_out = match cause.kind() {
            io::ErrorKind::AddrInUse => {
                let port = address.port();
                format!(
                    "stop what listens there (ss -ltnp 'sport = :{port}' shows it), or set {section}.port to another port"
                )
            }
            io::ErrorKind::AddrNotAvailable => {
                format!("set {section}.bind_addr to an address of this host")
            }
            io::ErrorKind::PermissionDenied => format!("set {section}.port to a port above 1023"),
            _ => format!("check {section}.bind_addr and {section}.port"),
        };
        BindError::Tcp { address, section, cause, way_out }
    })
}

/// The mode is set between bind and listen: until then nobody can connect, so there is no moment in which
/// the socket is open to more than it should be.
fn unix(path: &Path) -> Result<UnixListener, BindError> {
    let failed = |cause: String| BindError::Unix { path: path.to_path_buf(), cause };
    remove_stale(path).map_err(failed)?;
    let make = || -> rustix::io::Result<_> {
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        chmod(path, SOCKET_MODE)?;
        listen(&socket, BACKLOG)?;
        Ok(socket)
    };
    make().map(UnixListener::from).map_err(|errno| {
        failed(format!(
            "{}; check that its directory exists and that this user may write to it",
            io::Error::from(errno)
        ))
    })
}

/// Removes a socket that nobody listens on any more, and nothing else.
fn remove_stale(path: &Path) -> Result<(), String> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err("something that is no socket is there; move it away".to_owned());
    }
    match UnixStream::connect(path) {
        Ok(_) => Err("another gopherd listens there; stop it, or use another paths.run".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| format!("the stale socket cannot be removed: {error}"))
        }
        Err(error) => Err(format!("a socket is there and cannot be asked who listens: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_port_that_is_taken_is_an_error_that_names_address_and_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        for (addresses, section) in [
            (Addresses { rest: Some(address), ..Addresses::default() }, "rest_api_server"),
            (Addresses { metrics: Some(address), ..Addresses::default() }, "web_server"),
        ] {
            let text = Sockets::bind(&addresses).unwrap_err().to_string();
            assert!(text.starts_with(&format!("cannot listen on {address} ({section}): ")), "{text}");
            assert!(text.contains(&format!("set {section}.port to another port")), "{text}");
        }
    }

    #[test]
    fn the_unix_socket_is_for_owner_and_group_and_a_stale_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gopherd.sock");
        drop(UnixListener::bind(&path).unwrap());
        let addresses = Addresses { unix: Some(path.clone()), ..Addresses::default() };
        let sockets = Sockets::bind(&addresses).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let text = Sockets::bind(&addresses).unwrap_err().to_string();
        assert!(text.contains("another gopherd listens there"), "{text}");
        drop(sockets);
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "mine").unwrap();
        let addresses = Addresses { unix: Some(path.clone()), ..Addresses::default() };
        assert!(Sockets::bind(&addresses).unwrap_err().to_string().contains("no socket"));
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_directory_that_is_missing_is_named() {
        let addresses = Addresses { unix: Some("/nonexistent/x.sock".into()), ..Addresses::default() };
        let text = Sockets::bind(&addresses).unwrap_err().to_string();
        assert!(text.starts_with("cannot listen on /nonexistent/x.sock: No such file"), "{text}");
    }
}
