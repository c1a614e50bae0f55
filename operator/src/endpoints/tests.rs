use serde_json::{Value, json};

use super::*;

mod server;

use server::Server;

fn call(url: String, ca_bundle: Option<String>) -> HttpCall {
    HttpCall {
        url,
        headers: vec![("content-type", "application/json".into()), ("idempotency-key", "k1".into())],
        body: Bytes::from_static(br#"{"spec":{"hookType":"PreRollout"}}"#),
        ca_bundle: ca_bundle.map(Bytes::from),
    }
}

async fn ask(server: &Server, path: &str) -> Result<HttpAnswer, String> {
    Endpoints::new().post(call(format!("{}{path}", server.url), None)).await
}

#[tokio::test]
async fn a_question_arrives_as_it_is_and_its_answer_comes_back() {
    let server = Server::http().await;
    let answer = ask(&server, "/before").await.unwrap();
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &document["status"]), (201, &json!({ "code": "OK" })));
    let question = server.questions().pop().unwrap();
    assert_eq!(question.body, br#"{"spec":{"hookType":"PreRollout"}}"#);
    let mut lines: Vec<_> = question.head.lines().collect();
    lines.sort_unstable();
    let host = format!("host: {}", server.url.trim_start_matches("http://"));
    let expected =
        ["content-length: 34", "content-type: application/json", &host, "idempotency-key: k1", "post /before http/1.1"];
    assert_eq!(lines, expected, "nothing more, so no compression either");
}

#[tokio::test]
async fn what_goes_wrong_on_the_wire_is_named() {
    let server = Server::http().await;
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let endpoints = Endpoints::new();
    for (url, words) in [
        (format!("{}/reset", server.url), "connection reset"),
        (format!("{}/truncated", server.url), "the answer breaks off"),
        (format!("{}/endless", server.url), "the answer is longer than 1048576 bytes"),
        (format!("http://{closed}/"), "refused"),
        ("ftp://127.0.0.1/".to_owned(), "expected http:// or https://"),
        ("gate".to_owned(), "expected http:// or https://"),
        ("http://a b/".to_owned(), "url \"http://a b/\""),
    ] {
        let error = endpoints.post(call(url.clone(), None)).await.unwrap_err();
        assert!(error.to_lowercase().contains(words), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nobody_follows_it() {
    let server = Server::http().await;
    assert_eq!(ask(&server, "/redirect").await.unwrap().status, 302);
    assert_eq!(ask(&server, "/busy").await, Ok(HttpAnswer { status: 503, body: "busy".into() }));
    assert_eq!(server.questions().len(), 2);
}

#[tokio::test]
async fn who_no_longer_waits_hangs_up() {
    let server = Server::http().await;
    let asking = tokio::spawn({
        let server = server.clone();
        async move { ask(&server, "/hang").await }
    });
    server.bell.notified().await;
    asking.abort();
    // The server has seen the connection end.
    server.bell.notified().await;
}

#[tokio::test]
async fn tls_is_always_verified() {
    let (server, other) = (Server::https().await, Server::https().await);
    let ask = |ca_bundle| Endpoints::new().post(call(format!("{}/ok", server.url), ca_bundle));
    assert_eq!(ask(server.ca.clone()).await.unwrap().status, 201);
    for (ca_bundle, words) in [
        (None, "unknownissuer"),
        (other.ca.clone(), "invalid peer certificate"),
        (Some("no certificate".to_owned()), "expected certificates in pem, found none"),
        (Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()), "cabundle"),
    ] {
        let error = ask(ca_bundle).await.unwrap_err();
        assert!(error.to_lowercase().contains(words), "{error}");
    }
    assert_eq!(server.questions().len(), 1, "who is not trusted is asked nothing");
}
