//! One connection over the loopback interface, spoken to by hand, so that a client costs next to nothing.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use bytes::Bytes;

use crate::server::{COLLECTION, Form, Server};

/// A connection to a server that has a thread of its own.
#[derive(Debug)]
pub struct Connection {
    server: Server,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Serves over HTTP and connects.
    pub fn to(server: Server) -> Self {
        let stream = TcpStream::connect(server.serve()).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { server, stream: BufReader::new(stream) }
    }

    /// The bytes of one object.
    pub fn get(&mut self, name: &str) -> Vec<u8> {
        self.ask("GET", name, &Bytes::new())
    }

    /// Replaces an object at the version that it has.
    pub fn update(&mut self, name: &str, form: &Form) -> Vec<u8> {
        let body = self.server.update_body(name, form);
        self.ask("PUT", name, &body)
    }

    fn ask(&mut self, method: &str, name: &str, body: &Bytes) -> Vec<u8> {
        let mut request = format!(
            "{method} {COLLECTION}/{name} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\
             content-type: application/json\r\nuser-agent: bench/1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request).unwrap();
        let mut answer = vec![0; self.read_head()];
        self.stream.read_exact(&mut answer).unwrap();
        answer
    }

    /// The length of what follows.
    fn read_head(&mut self) -> usize {
        let mut length = 0;
        let mut first = true;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            assert!(!first || line.starts_with("HTTP/1.1 200"), "{line}");
            first = false;
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                None if line == "\r\n" => return length,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_reads_and_writes() {
        let mut server = Server::with_objects(2);
        let form = server.update_form("web-1");
        let mut connection = Connection::to(server);
        let updated = connection.update("web-1", &form);
        assert_eq!(connection.get("web-1"), updated);
        assert!(String::from_utf8_lossy(&updated).contains("\"name\":\"web-1\""));
    }
}
