//! A server for tests, on loopback: one behaviour a path.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::Notify,
};
use tokio_rustls::TlsAcceptor;

/// One question as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The request line and the headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A running server.
#[derive(Clone)]
pub(crate) struct Server {
    /// Where it is, without a path.
    pub(crate) url: String,
    /// The certificate that vouches for it, in PEM.
    pub(crate) ca: Option<String>,
    questions: Arc<Mutex<Vec<Question>>>,
    /// Rung at every question, and when a client that hung has gone.
    pub(crate) bell: Arc<Notify>,
}

impl Server {
    pub(crate) async fn http() -> Self {
        Self::serve("http", None, None).await
    }

    /// With a certificate that it signed itself.
    pub(crate) async fn https() -> Self {
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        Self::serve("https", Some(TlsAcceptor::from(Arc::new(config))), Some(signed.cert.pem())).await
    }

    async fn serve(scheme: &str, tls: Option<TlsAcceptor>, ca: Option<String>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let server = Self { url, ca, questions: Arc::default(), bell: Arc::default() };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (accepting.clone(), tls.clone());
                tokio::spawn(async move {
                    let socket = stream.as_fd().try_clone_to_owned().unwrap();
                    match tls {
                        None => server.connection(stream, &socket).await,
                        // A client that does not trust us is gone already.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                server.connection(stream, &socket).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    /// What was asked so far.
    pub(crate) fn questions(&self) -> Vec<Question> {
        self.questions.lock().unwrap().clone()
    }

    async fn connection(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, socket: &OwnedFd) {
        let Some(question) = read(&mut stream).await else { return };
        self.questions.lock().unwrap().push(question.clone());
        self.bell.notify_one();
        let path = question.head.split(' ').nth(1).unwrap_or_default().to_owned();
        let text =
            |status: &str, body: &str| format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let answer = match &*path {
            "/hang" => {
                // Nothing more comes from a client that waits; the end of the stream is its going away.
                while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
                return self.bell.notify_one();
            }
            "/reset" => {
                // Without lingering what is closed is reset.
                return SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap();
            }
            "/endless" => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while stream.write_all(&[b' '; 1 << 12]).await.is_ok() {}
                return;
            }
            "/truncated" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"status\"".to_owned(),
            "/redirect" => "HTTP/1.1 302 Found\r\nlocation: /ok\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "/not-json" => text("200 OK", "<html>it works!</html>"),
            "/busy" => text("503 Service Unavailable", "busy"),
            _ => {
                let mut document: Value = serde_json::from_slice(&question.body).unwrap_or_default();
                document["status"] = json!({ "code": "OK" });
                text("201 Created", &document.to_string())
            }
        };
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Question> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or_default();
            if bytes.len() >= end + 4 + length {
                return Some(Question { head, body: bytes.split_off(end + 4) });
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
