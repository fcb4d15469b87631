//! A server that stands in for another system: it answers as a test wants, and remembers the requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// A server that answers every request as the test wants, and remembers the requests.
pub(crate) struct StandIn {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    pub(crate) connections: Arc<AtomicUsize>,
}

/// How a stand-in answers.
#[derive(Clone)]
pub(crate) enum Manner {
    /// These bytes, then the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, then the connection is closed.
    ThenClose(Vec<u8>),
    /// These bytes to the first request of a connection, which is closed by the second one.
    Once(Vec<u8>),
    /// These answers in order; from then on, the last one.
    InOrder(Vec<Vec<u8>>),
    /// Nothing, ever.
    Hang,
    /// The first half of an answer, and nothing more.
    Half,
}

impl StandIn {
    pub(crate) async fn start(manner: Manner) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (requests, connections) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let stand_in = StandIn { port, requests, connections };
        let (requests, connections) = (stand_in.requests.clone(), stand_in.connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, manner.clone(), requests.clone()));
            }
        });
        stand_in
    }

    pub(crate) async fn json(value: Value) -> StandIn {
        StandIn::start(Manner::Bytes(response(200, &value.to_string()))).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) async fn requests(&self) -> Vec<String> {
        self.requests.lock().await.clone()
    }
}

/// Returns the bytes of an answer.
pub(crate) fn response(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn serve(mut stream: TcpStream, manner: Manner, requests: Arc<Mutex<Vec<String>>>) {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let mut is_first = true;
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => received.extend_from_slice(&buffer[..read]),
        }
        let text = String::from_utf8_lossy(&received).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() < length.map_or(0, |length| length.parse().expect("a length")) {
            continue;
        }
        let number = {
            let mut requests = requests.lock().await;
            requests.push(text);
            requests.len() - 1
        };
        received.clear();
        let written = match &manner {
            Manner::InOrder(answers) => {
                stream.write_all(&answers[number.min(answers.len() - 1)]).await
            }
            Manner::Bytes(bytes) => stream.write_all(bytes).await,
            Manner::ThenClose(bytes) => {
                drop(stream.write_all(bytes).await);
                return;
            }
            Manner::Once(_) if !is_first => return,
            Manner::Once(bytes) => stream.write_all(bytes).await,
            Manner::Hang => Ok(()),
            Manner::Half => {
                let answer = response(200, "{\"name\":\"Ann\"}");
                stream.write_all(&answer[..answer.len() - 5]).await
            }
        };
        if written.is_err() {
            return;
        }
        is_first = false;
    }
}
