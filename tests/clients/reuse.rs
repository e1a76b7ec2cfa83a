//! Sends refused requests and good ones in turn over one connection. The arguments: host and port, then for each case
//! its method, path, status, length and headers (each line of them ends in CRLF).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

fn exchange(stream: &mut BufReader<TcpStream>, head: &str, length: usize) -> u16 {
    stream.get_mut().write_all(head.as_bytes()).expect("the head is sent");
    stream.get_mut().write_all(&vec![b' '; length]).expect("the body is sent");
    let mut status = String::new();
    stream.read_line(&mut status).expect("there is an answer");
    let status = status.split(' ').nth(1).expect("the connection is open").parse().expect("a status");
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("there are headers");
        match line.trim().to_ascii_lowercase().strip_prefix("content-length:") {
            Some(text) => length = text.trim().parse().expect("a length"),
            None if line.trim().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("there is a body");
    status
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (host, cases) = arguments.split_first().expect("the host");
    let mut stream = BufReader::new(TcpStream::connect(host).expect("the gateway"));
    for case in cases.chunks(5) {
        let [method, path, status, length, headers] = case else { panic!("five arguments a case") };
        let length: usize = length.parse().expect("a length");
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {length}\r\n\r\n");
        assert_eq!(exchange(&mut stream, &head, length).to_string(), *status, "{method} {path}");
        let head = format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n");
        assert_eq!(exchange(&mut stream, &head, 0), 200, "after {method} {path}");
    }
    println!("std::net");
}
