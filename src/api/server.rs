//! The sockets, and the one thread that serves them.
//!
//! In: where to listen, what to look at. Out: a [`ServerHandle`]. The thread `api` runs a small
//! runtime of its own; questions that wait run on at most [`WAITING_THREADS_MAX`] further threads.
//! Must never listen beyond loopback without [`Reach::Beyond`], and never take over the socket of a
//! server that still answers.

use crate::ApiParts;
use crate::guard::Guarded;
use crate::patience::Bounded;
use crate::routes::router;
use ports::failpoint::{Point, pass};
use std::future::{Future, IntoFuture};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

/// Questions and commands that wait at the same time; the next ones queue.
const WAITING_THREADS_MAX: usize = 8;

/// How long answers under way may take once the server stops.
const DRAIN: Duration = Duration::from_secs(2);

/// How far away a client may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only this host: an address that is not loopback is refused.
    ThisHost,
    /// Other hosts too. There is no authentication yet, so whoever reaches the port may command.
    Beyond,
}

/// Where to listen.
#[derive(Clone, Debug)]
pub struct Listen {
    /// A TCP address; port 0 takes a free one.
    pub tcp: Option<SocketAddr>,
    /// How far that address may reach.
    pub reach: Reach,
    /// A unix socket.
    pub unix: Option<PathBuf>,
    /// A file that gets the bound TCP address, e.g. `127.0.0.1:40123`, once the server listens;
    /// removed when it stops.
    pub address_file: Option<PathBuf>,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Neither an address nor a socket was given.
    #[error("nothing to listen on: give a TCP address or the path of a unix socket")]
    Nowhere,
    /// The address is reachable from other hosts.
    #[error(
        "listening on {address} would let every host that reaches it command this instance; use \
         127.0.0.1, or say explicitly that it shall be reachable"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// A server answers there already.
    #[error("{place} is in use by a running server; stop that one first or choose another place")]
    InUse {
        /// The address or path.
        place: String,
    },
    /// The system refused.
    #[error("{tried} failed: {source}; check that the place exists and may be used by this user")]
    System {
        /// What was tried, on what.
        tried: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct ServerHandle {
    /// The bound TCP address, if it listens on one.
    pub address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    leftovers: Vec<PathBuf>,
}

impl ServerHandle {
    /// Takes no more requests, lets those under way finish, and returns when the thread has ended.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        for path in &self.leftovers {
            // A file that is gone already is what we want.
            let _ = std::fs::remove_file(path);
            pass(Point::LeftoverRemoved);
        }
        self.stop.send_replace(true);
        let _ = thread.join();
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Binds every place first, then serves on a thread of its own. Once it has returned, clients can
/// connect.
pub fn serve(listen: &Listen, parts: ApiParts) -> Result<ServerHandle, ServeError> {
    if listen.tcp.is_none() && listen.unix.is_none() {
        return Err(ServeError::Nowhere);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(WAITING_THREADS_MAX)
        .thread_name("api-wait")
        .build()
        .map_err(|source| ServeError::System {
            tried: "starting the runtime".into(),
            source,
        })?;
    // Sockets join the runtime here, so that one it cannot take is an error of this call.
    let (tcp, unix) = {
        let _entered = runtime.enter();
        let tcp = listen
            .tcp
            .map(|address| bind_tcp(address, listen.reach))
            .transpose()?;
        pass(Point::TcpBound);
        (tcp, listen.unix.as_deref().map(bind_unix).transpose()?)
    };
    let address = tcp.as_ref().and_then(|socket| socket.local_addr().ok());
    let mut leftovers: Vec<PathBuf> = listen.unix.iter().cloned().collect();
    if let (Some(file), Some(address)) = (&listen.address_file, address) {
        write_address(file, address)?;
        leftovers.push(file.clone());
    }
    let (stop, stopped) = watch::channel(false);
    let thread = std::thread::Builder::new()
        .name("api".into())
        .spawn(move || {
            runtime.block_on(async move {
                let tcp = serve_tcp(tcp, address, parts.clone(), stopped.clone());
                let unix = serve_unix(unix, parts, stopped);
                tokio::join!(tcp, unix);
            });
            // A command that waits for a stopped engine must not hold the process.
            runtime.shutdown_timeout(DRAIN);
        })
        .map_err(|source| ServeError::System {
            tried: "starting the thread api".into(),
            source,
        })?;
    Ok(ServerHandle {
        address,
        stop,
        thread: Some(thread),
        leftovers,
    })
}

fn bind_tcp(address: SocketAddr, reach: Reach) -> Result<TcpListener, ServeError> {
    if reach == Reach::ThisHost && !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback { address });
    }
    let system = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AddrInUse => ServeError::InUse {
            place: address.to_string(),
        },
        _ => ServeError::System {
            tried: format!("listening on {address}"),
            source,
        },
    };
    let socket = std::net::TcpListener::bind(address).map_err(system)?;
    socket.set_nonblocking(true).map_err(system)?;
    TcpListener::from_std(socket).map_err(system)
}

fn bind_unix(path: &Path) -> Result<UnixListener, ServeError> {
    let tried = format!("listening on {}", path.display());
    if UnixStream::connect(path).is_ok() {
        return Err(ServeError::InUse {
            place: path.display().to_string(),
        });
    }
    let bind = || {
        if is_socket(path) {
            // Nobody answers: a socket left over by a server that was killed.
            std::fs::remove_file(path)?;
            pass(Point::SocketRemoved);
        }
        let bound = UnixListener::bind(path)?;
        pass(Point::SocketBound);
        Ok(bound)
    };
    bind().map_err(|source| ServeError::System { tried, source })
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
}

/// Writes the address beside its place and renames it, so that nobody reads half of it.
fn write_address(file: &Path, address: SocketAddr) -> Result<(), ServeError> {
    let beside = file.with_extension("addr.new");
    let write = || -> std::io::Result<()> {
        let mut out = std::fs::File::create(&beside)?;
        writeln!(out, "{address}")?;
        pass(Point::AddressWritten);
        std::fs::rename(&beside, file)?;
        pass(Point::AddressRenamed);
        Ok(())
    };
    write().map_err(|source| ServeError::System {
        tried: format!("writing the address to {}", file.display()),
        source,
    })
}

async fn serve_tcp(
    socket: Option<TcpListener>,
    address: Option<SocketAddr>,
    parts: ApiParts,
    stopped: watch::Receiver<bool>,
) {
    let Some(socket) = socket else { return };
    let app = router(parts, Guarded(address));
    let serving = axum::serve(Bounded::new(socket), app);
    let serving = serving.with_graceful_shutdown(end_of(stopped.clone()));
    within_drain(serving.into_future(), stopped).await;
}

async fn serve_unix(socket: Option<UnixListener>, parts: ApiParts, stopped: watch::Receiver<bool>) {
    let Some(socket) = socket else { return };
    let app = router(parts, Guarded(None));
    let serving = axum::serve(Bounded::new(socket), app);
    let serving = serving.with_graceful_shutdown(end_of(stopped.clone()));
    within_drain(serving.into_future(), stopped).await;
}

/// Ends when the server is told to stop (or its handle is gone).
async fn end_of(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Serves until told to stop, then at most [`DRAIN`] longer: an idle connection must not hold the
/// process.
async fn within_drain<T>(serving: impl Future<Output = T>, stopped: watch::Receiver<bool>) {
    let late = async {
        end_of(stopped).await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        _ = serving => {}
        () = late => {}
    }
}
