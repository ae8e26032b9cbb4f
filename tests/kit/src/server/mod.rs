//! A server on loopback that speaks S3 (by the `s3s` crate, SigV4 checked) and the few calls to
//! CloudTrail, Organizations, Account Management and STS that a verification needs. One port for
//! all: `AWS_ENDPOINT_URL`.

mod account;
mod cloudtrail;
mod front;
mod state;
mod storage;

use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use state::{KeyFault, Lifecycle, Received, ServerOptions, TrailAnswer};

use crate::forge::ForgedTrail;
use state::State;

/// The only credentials that the server takes.
pub const ACCESS_KEY: &str = "AKIATESTTESTTESTTEST";
/// The secret key that belongs to [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "test/secret/key";

/// A running server. It stops when it is dropped.
pub struct Server {
    state: Arc<State>,
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Starts a server that holds the trail's objects and knows the trail.
    pub fn start(trail: &ForgedTrail, options: ServerOptions) -> Self {
        let state = Arc::new(State::new(trail, options));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, port) = std::sync::mpsc::channel();
        let shared = state.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime starts");
            runtime.block_on(async move {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
                ready.send(listener.local_addr().expect("it is bound").port()).expect("the test waits for it");
                tokio::select! {
                    () = serve(listener, shared) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_timeout(Duration::from_millis(100));
        });
        let port = port.recv().expect("the server starts");
        Self { state, port, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the number of calls of the operation with this name.
    pub fn calls(&self, operation: &str) -> u64 {
        self.state.calls(operation)
    }

    /// The buckets that requests named.
    pub fn buckets_asked(&self) -> std::collections::HashSet<String> {
        self.state.buckets_asked()
    }

    /// Puts a new version of an object.
    pub fn put(&self, bucket: &str, key: &str, stored: crate::forge::Stored) {
        self.state.put(bucket, key, stored);
    }

    /// The object as it is now.
    pub fn object(&self, bucket: &str, key: &str) -> Option<crate::forge::Stored> {
        let buckets = self.state.buckets.read().expect("no test panics holding it");
        buckets.get(bucket)?.current(key, self.state.now()).cloned()
    }

    /// Makes an empty bucket.
    pub fn make_bucket(&self, bucket: &str, region: &str) {
        let mut buckets = self.state.buckets.write().expect("no test panics holding it");
        buckets.entry(bucket.to_owned()).or_default().region = region.to_owned();
    }

    /// Returns the notices that the server received.
    pub fn received(&self) -> Vec<Received> {
        self.state.received()
    }

    /// Sets the server's current time: objects written later do not exist yet, and objects deleted
    /// later still do.
    pub fn set_now(&self, now: jiff::Timestamp) {
        self.state.set_now(now);
    }

    /// Deletes an object, leaving a delete marker.
    pub fn delete(&self, bucket: &str, key: &str, at: jiff::Timestamp) {
        self.state.delete(bucket, key, at);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let s3 = storage::service(state.clone());
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Without `TCP_NODELAY`, Nagle's algorithm delays every small answer until an
        // acknowledgement.
        let _ = stream.set_nodelay(true);
        let (state, s3) = (state.clone(), s3.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| front::answer(state.clone(), s3.clone(), request));
            let _ = auto::Builder::new(TokioExecutor::new())
                .http1_only()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
