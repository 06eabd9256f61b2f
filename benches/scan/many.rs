//! Lists of 10, 100 and 1,000 servers: real TLS behind forwarding ports, and among them those that hang, refuse,
//! speak HTTP or garbage.

use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const MYTLS: &str = env!("CARGO_BIN_EXE_mytls");
/// Of ten servers this many are real.
const REAL: usize = 6;

pub fn measure(home: &Path, port: u16) {
    println!(
        "\nlists of servers: of ten, six are real, one hangs, one refuses, one speaks HTTP, one garbage; \
         --timeout 2, 32 at a time"
    );
    for many in [10, 100, 1000] {
        // closed when all others are open, so that none of them gets the same port
        let mut closed = Vec::new();
        let ports: Vec<u16> = (0..many).map(|number| open(number, port, &mut closed)).collect();
        drop(closed);
        let list = ports.iter().map(|port| format!("127.0.0.1:{port}\n"));
        let list: String = list.collect();
        let file = std::env::temp_dir().join(format!("mytls-bench-targets-{}", std::process::id()));
        std::fs::write(&file, list).expect("TMPDIR is writable");
        let began = Instant::now();
        let mut child = Command::new(MYTLS)
            .args(["scan", "--format", "json", "--timeout", "2", "--targets"])
            .arg(&file)
            .env("HOME", home)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it was built");
        let mut stdout = child.stdout.take().expect("piped");
        let reader = thread::spawn(move || {
            let mut said = String::new();
            let _ = stdout.read_to_string(&mut said);
            said
        });
        let (mut peak, mut threads) = (0, 0);
        while child.try_wait().expect("it is ours").is_none() {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
            let status = status.unwrap_or_default();
            let number = |name: &str| -> u64 {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
            };
            peak = peak.max(number("VmHWM:"));
            threads = threads.max(number("Threads:"));
            thread::sleep(Duration::from_millis(5));
        }
        let took = began.elapsed().as_secs_f64();
        let said = reader.join().expect("it reads");
        let scanned = said.lines().filter(|line| line.contains("\"scan\":")).count();
        let lines = said.lines().count();
        println!(
            "  {many:>5} servers  {took:>7.2} s  {:>5.1} MB at most  {threads:>3} threads at most  \
             {scanned} scanned, {} said why not",
            f64::from(u32::try_from(peak).unwrap_or(u32::MAX)) / 1024.0,
            lines - scanned
        );
        assert_eq!((lines, scanned), (many, many / 10 * REAL), "each server has its line");
        let _ = std::fs::remove_file(file);
    }
}

/// A port that leads to the server, or to one that means no good.
fn open(number: usize, server: u16, closed: &mut Vec<TcpListener>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let kind = number % 10;
    if kind == REAL {
        closed.push(listener);
        return port;
    }
    let play: Arc<dyn Fn(TcpStream) + Send + Sync> = match kind {
        kind if kind < REAL => Arc::new(move |client| forward(client, server)),
        7 => Arc::new(|client| {
            thread::sleep(Duration::from_secs(30));
            drop(client);
        }),
        8 => Arc::new(|mut client| drop(client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"))),
        _ => Arc::new(|mut client| drop(client.write_all(&[0xa5; 4096]))),
    };
    thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(move || {
            for client in listener.incoming().flatten() {
                let play = Arc::clone(&play);
                let _ = thread::Builder::new().stack_size(64 * 1024).spawn(move || play(client));
            }
        })
        .expect("memory has room");
    port
}

fn forward(client: TcpStream, server: u16) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { return };
    let (Ok(mut from), Ok(mut to)) = (client.try_clone(), server.try_clone()) else { return };
    let there = thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut server, mut client) = (server, client);
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
    if let Ok(there) = there {
        let _ = there.join();
    }
}
