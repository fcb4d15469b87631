//! Open connections of a listener: how many there are, and which one is closed to make room.
//!
//! Anyone can open a connection, so a connection without an authenticated request has no right to stay:
//! when the listener is full, or one address has too many of them, the oldest one is closed. A connection
//! with an authenticated request is never closed to make room.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Number of requests after which a connection without an authenticated one is closed. Otherwise a client
/// that sends requests without waiting for responses could keep the service busy.
const MAX_UNAUTHENTICATED_REQUESTS: u32 = 100;

/// The open connections of a listener.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    max_open: usize,
    max_guests_per_address: usize,
    /// Addresses without a limit of their own.
    proxies: Vec<IpNet>,
    registry: Mutex<Registry>,
    /// Notified when a connection closes.
    closed: Notify,
}

/// Connections are numbered in the order of acceptance. A guest is a connection without an authenticated
/// request.
#[derive(Default)]
struct Registry {
    next: u64,
    /// Connections whose task has not ended, also those that are being closed.
    open: BTreeSet<u64>,
    guests: BTreeMap<u64, Guest>,
    guests_by_address: HashMap<IpAddr, BTreeSet<u64>>,
}

struct Guest {
    address: IpAddr,
    since: Instant,
    /// Whether the header of a request has arrived.
    has_begun: Arc<AtomicBool>,
    /// Ends the connection's task. None until the task is started.
    task: Option<AbortHandle>,
}

/// A connection, in the extensions of its requests. Dropping it frees its place.
pub(crate) struct Connection {
    number: u64,
    peer: SocketAddr,
    has_begun: Arc<AtomicBool>,
    /// Number of requests.
    requests: AtomicU32,
    is_authenticated: AtomicBool,
    connections: Connections,
}

impl Connections {
    pub(super) fn new(max_open: usize, max_guests_per_address: usize, proxies: Vec<IpNet>) -> Self {
        let (registry, closed) = (Mutex::default(), Notify::new());
        Connections(Arc::new(Shared {
            max_open,
            max_guests_per_address,
            proxies,
            registry,
            closed,
        }))
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a connection can be added: below the maximum, or at it with a guest that makes room. One
    /// that is being closed counts until it is, since it still has a file descriptor.
    pub(super) async fn room(&self) {
        loop {
            let closed = self.0.closed.notified();
            {
                let registry = self.registry();
                let (open, max_open) = (registry.open.len(), self.0.max_open);
                if open < max_open || open == max_open && !registry.guests.is_empty() {
                    return;
                }
            }
            closed.await;
        }
    }

    /// Waits until no connection is open.
    pub(super) async fn all_closed(&self) {
        loop {
            let closed = self.0.closed.notified();
            if self.registry().open.is_empty() {
                return;
            }
            closed.await;
        }
    }

    /// Closes the oldest guest, if there is one. Waits until a connection closes.
    pub(super) async fn make_room(&self) {
        let closed = self.0.closed.notified();
        {
            let mut registry = self.registry();
            let oldest = registry.oldest_guest();
            registry.close(oldest, "to make room");
        }
        closed.await;
    }

    /// Adds a connection as a guest, and closes the oldest guest if there are too many.
    pub(super) fn add(&self, peer: SocketAddr) -> Connection {
        let address = peer.ip().to_canonical();
        let mut registry = self.registry();
        self.make_room_for(address, &mut registry);
        if registry.open.len() >= self.0.max_open {
            let oldest = registry.oldest_guest();
            registry.close(oldest, "to make room");
        }
        let number = registry.next;
        registry.next += 1;
        let has_begun = Arc::<AtomicBool>::default();
        registry.open.insert(number);
        let since = Instant::now();
        let guest = Guest { address, since, has_begun: has_begun.clone(), task: None };
        registry.add_guest(number, guest);
        let (requests, is_authenticated) = (AtomicU32::new(0), AtomicBool::new(false));
        Connection {
            number,
            peer,
            has_begun,
            requests,
            is_authenticated,
            connections: self.clone(),
        }
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.0.proxies.iter().any(|net| net.contains(&address))
    }

    /// Closes the oldest guest from `address` if it has as many as one address may have.
    fn make_room_for(&self, address: IpAddr, registry: &mut Registry) {
        let of_address = registry.guests_by_address.get(&address);
        let is_full = of_address.is_some_and(|all| all.len() >= self.0.max_guests_per_address);
        if is_full && !self.is_proxy(address) {
            let oldest = of_address.and_then(|all| all.first().copied());
            registry.close(oldest, "too many from this address");
        }
    }

    /// Closes the guests that have sent no complete header within `limit` since they were accepted.
    pub(super) fn close_silent(&self, limit: Duration) {
        let mut registry = self.registry();
        let silent = registry.guests.iter().take_while(|(_, guest)| guest.since.elapsed() >= limit);
        let silent = silent
            .filter(|(_, guest)| !guest.has_begun.load(Ordering::Relaxed))
            .map(|(number, _)| *number);
        for number in silent.collect::<Vec<_>>() {
            registry.close(Some(number), "no request");
        }
    }

    /// Registers the task that serves a connection, so that it can be ended.
    pub(super) fn started(&self, number: u64, task: AbortHandle) {
        if let Some(guest) = self.registry().guests.get_mut(&number) {
            guest.task = Some(task);
        }
    }
}

impl Registry {
    fn oldest_guest(&self) -> Option<u64> {
        self.guests.first_key_value().map(|(number, _)| *number)
    }

    fn close(&mut self, number: Option<u64>, reason: &str) {
        let Some((_, guest)) = number.and_then(|number| self.remove_guest(number)) else { return };
        tracing::debug!(address = %guest.address, reason, "closing a connection");
        if let Some(task) = guest.task {
            task.abort();
        }
    }

    fn add_guest(&mut self, number: u64, guest: Guest) {
        self.guests_by_address.entry(guest.address).or_default().insert(number);
        self.guests.insert(number, guest);
    }

    fn remove_guest(&mut self, number: u64) -> Option<(u64, Guest)> {
        let guest = self.guests.remove(&number)?;
        if let Some(of_address) = self.guests_by_address.get_mut(&guest.address) {
            of_address.remove(&number);
            if of_address.is_empty() {
                self.guests_by_address.remove(&guest.address);
            }
        }
        Some((number, guest))
    }
}

impl Connection {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the address of the client, or that of the proxy if no PROXY header has named the client.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Returns whether the connection comes from a trusted proxy.
    pub(super) fn is_from_proxy(&self) -> bool {
        self.connections.is_proxy(self.peer.ip().to_canonical())
    }

    /// Notes the client's address from the PROXY header of a trusted proxy. The connection then counts as one
    /// of that address.
    pub(super) fn set_client(&mut self, client: SocketAddr) {
        self.peer = client;
        let address = client.ip().to_canonical();
        let mut registry = self.connections.registry();
        // None if the connection was closed to make room; its task is about to end.
        let Some((number, guest)) = registry.remove_guest(self.number) else { return };
        self.connections.make_room_for(address, &mut registry);
        registry.add_guest(number, Guest { address, ..guest });
    }

    /// Notes that the header of a request has arrived.
    pub(super) fn request_begun(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether the connection has had as many requests as it may without an authenticated one.
    pub(super) fn has_used_up_requests(&self) -> bool {
        !self.is_authenticated.load(Ordering::Relaxed)
            && self.requests.load(Ordering::Relaxed) >= MAX_UNAUTHENTICATED_REQUESTS
    }

    /// Notes that a request has been authenticated: the connection is no longer closed to make room.
    pub(crate) fn authenticated(&self) {
        if !self.is_authenticated.load(Ordering::Relaxed) {
            self.is_authenticated.store(true, Ordering::Relaxed);
            self.connections.registry().remove_guest(self.number);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut registry = self.connections.registry();
        registry.remove_guest(self.number);
        registry.open.remove(&self.number);
        drop(registry);
        self.connections.0.closed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_ADDRESS: usize = 3;

    fn connections(max_open: usize) -> Connections {
        Connections::new(max_open, PER_ADDRESS, vec!["10.0.0.0/8".parse().unwrap()])
    }

    fn peer(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1)
    }

    fn guests(connections: &Connections) -> Vec<u64> {
        connections.registry().guests.keys().copied().collect()
    }

    #[test]
    fn the_oldest_guest_of_an_address_makes_room_for_a_new_one() {
        let connections = connections(100);
        let other = connections.add(peer("203.0.113.1"));
        let crowd: Vec<_> = (0..5).map(|_| connections.add(peer("203.0.113.9"))).collect();
        assert_eq!(guests(&connections), [0, 3, 4, 5]);
        drop((other, crowd));
        assert_eq!(connections.registry().open.len(), 0);
        assert!(connections.registry().guests_by_address.is_empty());
    }

    #[test]
    fn a_trusted_proxy_has_no_limit_of_its_own() {
        let connections = connections(100);
        let _all: Vec<_> = (0..10).map(|_| connections.add(peer("10.1.2.3"))).collect();
        assert_eq!(guests(&connections).len(), 10);
    }

    #[test]
    fn a_proxied_client_has_the_limit_of_its_own_address() {
        let connections = connections(100);
        let proxied = |client| {
            let mut connection = connections.add(peer("10.1.2.3"));
            assert!(connection.is_from_proxy());
            connection.set_client(peer(client));
            assert_eq!(connection.peer(), peer(client));
            connection
        };
        let other = proxied("203.0.113.1");
        let crowd: Vec<_> = (0..5).map(|_| proxied("203.0.113.9")).collect();
        assert_eq!(guests(&connections), [0, 3, 4, 5]);
        drop((other, crowd));
        assert!(connections.registry().guests_by_address.is_empty());
    }

    #[test]
    fn an_authenticated_connection_is_never_closed_to_make_room() {
        let connections = connections(2);
        let first = connections.add(peer("203.0.113.1"));
        first.authenticated();
        let second = connections.add(peer("203.0.113.2"));
        let _third = connections.add(peer("203.0.113.3"));
        assert_eq!(guests(&connections), [2]);
        drop(second);
        assert_eq!(connections.registry().open.iter().copied().collect::<Vec<_>>(), [0, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_being_closed_keeps_its_place_until_it_is_closed() {
        let connections = connections(1);
        let first = connections.add(peer("203.0.113.1"));
        connections.room().await;
        let _second = connections.add(peer("203.0.113.2"));
        assert_eq!(guests(&connections), [1]);
        let waiting = tokio::time::timeout(Duration::from_secs(60), connections.room()).await;
        assert!(waiting.is_err());
        drop(first);
        connections.room().await;
    }

    #[tokio::test(start_paused = true)]
    async fn waits_while_all_connections_are_authenticated() {
        let connections = connections(1);
        let first = connections.add(peer("203.0.113.1"));
        first.authenticated();
        let waiting = tokio::time::timeout(Duration::from_secs(60), connections.room()).await;
        assert!(waiting.is_err());
        drop(first);
        connections.room().await;
    }

    #[tokio::test(start_paused = true)]
    async fn closes_guests_that_send_no_request() {
        let connections = connections(10);
        let (_silent, begun) = (connections.add(peer("::1")), connections.add(peer("::1")));
        begun.request_begun();
        tokio::time::advance(Duration::from_secs(9)).await;
        let _new = connections.add(peer("::1"));
        connections.close_silent(Duration::from_secs(10));
        assert_eq!(guests(&connections), [0, 1, 2]);
        tokio::time::advance(Duration::from_secs(1)).await;
        connections.close_silent(Duration::from_secs(10));
        assert_eq!(guests(&connections), [1, 2]);
    }
}
