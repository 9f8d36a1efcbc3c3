//! How long and how many clients are waited for: one that says nothing, or never reads its answer,
//! is hung up on, and there are never more connections than descriptors were meant for them.
//!
//! In: a listener. Out: the same one, bounded. No thread waits for any client; each costs a
//! descriptor and a few kilobytes until its time is over (F47).

use axum::serve::Listener;
use rustix::process::{Resource, getrlimit};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Connections at once, each listener, at most; and never more than this part of the descriptors
/// that the process may have, so that store, spawner and spools always find one. Whoever is more
/// waits in the kernel's queue.
const CONNECTIONS_MAX: u64 = 512;
const DESCRIPTORS_PART: u64 = 3;
/// A connection on which nothing moves for so long is closed: longer than any answer takes.
const QUIET_MAX: Duration = Duration::from_secs(45);

/// A listener whose clients are bounded in number and in time.
pub(crate) struct Bounded<L> {
    listener: L,
    places: Arc<Semaphore>,
    quiet_max: Duration,
}

impl<L: Listener> Bounded<L> {
    pub(crate) fn new(listener: L) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(places())),
            quiet_max: QUIET_MAX,
        }
    }
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Patient<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = self.places.clone().acquire_owned().await.ok();
        let (io, address) = self.listener.accept().await;
        let patient = Patient {
            io,
            quiet: Box::pin(sleep(self.quiet_max)),
            quiet_max: self.quiet_max,
            _place: place,
        };
        (patient, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

fn places() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current;
    let part = descriptors.map_or(CONNECTIONS_MAX, |limit| limit / DESCRIPTORS_PART);
    part.clamp(1, CONNECTIONS_MAX) as usize
}

/// One connection, until nothing has moved on it for too long.
pub(crate) struct Patient<Io> {
    io: Io,
    quiet: Pin<Box<Sleep>>,
    quiet_max: Duration,
    /// None only if nobody counts any more.
    _place: Option<OwnedSemaphorePermit>,
}

impl<Io> Patient<Io> {
    /// Something moved, or nothing did: then the time may be over.
    fn after<T>(
        &mut self,
        moved: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            let next = Instant::now() + self.quiet_max;
            self.quiet.as_mut().reset(next);
            return moved;
        }
        let over = self.quiet.as_mut().poll(context);
        over.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Patient<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.io).poll_read(context, buffer);
        this.after(read, context)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Patient<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.after(written, context)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(context);
        this.after(flushed, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use tokio::net::TcpListener;

    #[test]
    fn f47_clients_that_do_not_go_on_are_hung_up_on_and_make_room_for_others() {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let bounded = Bounded {
            listener,
            places: Arc::new(Semaphore::new(2)),
            quiet_max: Duration::from_millis(100),
        };
        let app = Router::new().route("/", get(|| async { "hello" }));
        std::thread::spawn(move || runtime.block_on(async { axum::serve(bounded, app).await }));
        let connect = || {
            let client = TcpStream::connect(address).unwrap();
            client
                .set_read_timeout(Some(Duration::from_mins(1)))
                .unwrap();
            client
        };
        let [mut silent, mut slow, mut good] = [connect(), connect(), connect()];
        slow.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").unwrap();
        good.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let (mut answer, mut rest) = ([0; 64], Vec::new());
        let read = good.read(&mut answer).unwrap();
        assert!(
            answer[..read].starts_with(b"HTTP/1.1 200"),
            "served when one of two was gone"
        );
        for client in [&mut silent, &mut slow] {
            rest.clear();
            // An end or a reset: hung up on either way.
            let _ = client.read_to_end(&mut rest);
            assert!(!rest.starts_with(b"HTTP/1.1 200"));
        }
    }
}
