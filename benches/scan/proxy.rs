//! A way that takes its time: what goes through arrives as it would over so long a round trip.
//!
//! A client is connected to the proxy at once, where over the real way that takes one round trip: so nothing of it
//! reaches the server before one and a half have passed, and what the server says first comes after two.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// Listens on a port of its own, for as long as the program runs; comes to the server from 127.0.0.2.
pub fn start(server: u16, round_trip: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || carry(&client, server, round_trip));
        }
    });
    port
}

fn carry(client: &TcpStream, server: u16, round_trip: Duration) {
    let came = Instant::now();
    let half = round_trip / 2;
    let Some(server) = connect(server) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let both = |stream: &TcpStream| stream.try_clone();
    let (Ok(from), Ok(to), Ok(back), Ok(home)) =
        (both(client), both(&server), both(&server), both(client))
    else {
        return;
    };
    let there = thread::spawn(move || pass(from, to, came + round_trip, half));
    pass(back, home, came + round_trip + half, half);
    let _ = there.join();
}

fn connect(server: u16) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    let own: IpAddr = Ipv4Addr::new(127, 0, 0, 2).into();
    socket.bind(&SocketAddr::new(own, 0).into()).ok()?;
    socket.connect(&SocketAddr::new(Ipv4Addr::LOCALHOST.into(), server).into()).ok()?;
    Some(socket.into())
}

/// Everything that comes, each piece so long after it came, and none of it sent before `opened`.
fn pass(mut from: TcpStream, mut to: TcpStream, opened: Instant, half: Duration) {
    let (give, take) = mpsc::channel::<(Instant, Vec<u8>)>();
    let sender = thread::spawn(move || {
        for (due, piece) in take {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if piece.is_empty() || to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut piece = [0; 16 * 1024];
    loop {
        let length = from.read(&mut piece).unwrap_or(0);
        let due = Instant::now().max(opened) + half;
        if give.send((due, piece[..length].to_vec())).is_err() || length == 0 {
            break;
        }
    }
    drop(give);
    let _ = sender.join();
}
