//! The program below a service manager: sockets that systemd passes, messages to it, and two processes on
//! one port.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use crate::support::program::{
    SETTINGS, Served, admin_request, folder, in_shell, program, run, start_with, text,
};
use crate::support::wait::DEADLINE;

const RULES: &str = "[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n";

/// Returns the program with a listening socket as file descriptor 3, as systemd passes it.
fn with_socket(socket: TcpListener, names: &str) -> Command {
    let mut shell = in_shell(&format!(
        "exec 3<&0 </dev/null && export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={names}"
    ));
    shell.stdin(Stdio::from(OwnedFd::from(socket)));
    shell
}

#[test]
fn a_socket_from_systemd_survives_a_restart() {
    let (_folder, settings) = folder(SETTINGS, RULES);
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let socket = TcpListener::bind(address).unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        for _ in 0..2 {
            let command = with_socket(socket.try_clone().unwrap(), "public");
            let served = Served::new(start_with(command, &["--config", &settings]));
            assert_eq!(served.url, url);
            let sent = run(&["send", "--config", &settings, "--url", &url]);
            assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
            assert_eq!(served.terminate().0, Some(0));
        }
        // Between the processes, a client waits in the queue of the socket.
        let waiting = std::net::TcpStream::connect(socket.local_addr().unwrap());
        assert!(waiting.is_ok(), "{waiting:?}");
    }
}

#[test]
fn a_socket_named_admin_is_the_admin_listener() {
    let (_folder, settings) = folder(SETTINGS, RULES);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let served = Served::new(start_with(with_socket(socket, "admin"), &["--config", &settings]));
    assert_eq!(served.admin, address);
    assert_eq!(admin_request(&address, "GET /readyz", "").0, 200);
}

#[test]
fn an_admin_socket_for_everyone_requires_a_token() {
    let (_folder, settings) = folder(SETTINGS, RULES);
    let socket = TcpListener::bind("0.0.0.0:0").unwrap();
    let mut command = with_socket(socket, "admin");
    command.stderr(Stdio::piped());
    let mut running = start_with(command, &["--config", &settings]);
    let error = text(&running.read_stderr());
    assert!(error.contains("would be open to everyone: set admin.token"), "{error}");
    assert_eq!(running.wait(), Some(2));
}

#[test]
fn systemd_learns_when_the_service_is_ready_reloads_stops_and_is_alive() {
    let (folder, settings) = folder(SETTINGS, RULES);
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let receive = || {
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let receive_beyond_watchdog = || loop {
        let message = receive();
        if message != "WATCHDOG=1\n" {
            return message;
        }
    };
    let mut command = program();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000");
    let served = Served::new(start_with(command, &["--config", &settings]));
    assert_eq!(receive_beyond_watchdog(), "READY=1\n");
    assert_eq!(receive(), "WATCHDOG=1\n");
    served.signal("-HUP");
    let reloading = receive_beyond_watchdog();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(receive_beyond_watchdog(), "READY=1\n");
    served.signal("-TERM");
    assert_eq!(receive_beyond_watchdog(), "STOPPING=1\n");
}

#[test]
fn a_second_process_takes_over_a_shared_port() {
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let shared = format!("[server]\nreuse_port = true\nlisten = \"127.0.0.1:{port}\"\n{SETTINGS}");
    let (_folder, settings) = folder(&shared, RULES);
    let url = format!("http://127.0.0.1:{port}");
    let start = || {
        let mut command = program();
        command.env_remove("SWITCHBOARD__SERVER__LISTEN");
        Served::new(start_with(command, &["--config", &settings]))
    };
    let send = |count: usize| {
        for _ in 0..count {
            let sent = run(&["send", "--config", &settings, "--url", &url]);
            assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
        }
    };
    let first = start();
    send(1);
    let second = start();
    send(5);
    assert_eq!(first.terminate().0, Some(0));
    send(5);
    assert_eq!(second.terminate().0, Some(0));
}
